"""The networks' one HTTP client: what may be asked, how often, and how patiently."""
