// Before the first paint: the theme that was chosen here, else the device's own.
(() => {
  try {
    const theme = localStorage.getItem("theme");
    if (theme === "dark" || theme === "light") document.documentElement.dataset.theme = theme;
  } catch { /* storage may be forbidden; the device's theme it is */ }
  document.documentElement.classList.add("js");
})();
