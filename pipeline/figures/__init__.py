"""Every picture, from arrays and records; the only room that knows matplotlib and Vega-Lite."""
