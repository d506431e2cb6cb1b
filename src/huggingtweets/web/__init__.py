"""The web app: make a bot, let it speak, share what it said.

In: a browser, curl or gradio_client. Out: pages, an HTTP API, pictures. The bot folders stay the truth for bots; the
database holds what no folder does: jobs, predictions, people, reports.

- `settings` what `serve` was told; `records` the rows as plain dataclasses
- `store` on `database`, `tables` and `migrations`: the only ones that know SQL
- `uploads` files that visitors send; `orders` what they ask for becomes a job
- `jobs` runs the queue; `worker` is the process that does one job, and `progress` what a page shows of it
- `speaking` bots that write, as many at a time as the machine bears
- `sharing` predictions with pictures and previews; `views` what a browser is told of them
- `guard` who may do what, and what a browser may load; `answers` one shape for every error
- `api` the endpoints, `pages` the HTML, `gradio_door` the same for gradio_client, `server` all of it together
"""
