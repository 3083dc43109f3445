"""The console: pages for browsers under /ui, served by the gateway itself."""
