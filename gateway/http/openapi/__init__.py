"""The gateway's API description: an OpenAPI document, and the page that shows it."""
