"""A local server for a pushed model: TensorFlow Serving's REST predict API, and a page for pictures."""
