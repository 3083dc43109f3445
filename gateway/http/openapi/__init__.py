"""What the gateway says of itself: an OpenAPI document and the page that shows it."""
