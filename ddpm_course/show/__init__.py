"""What a reader sees: pictures, plots, views, widgets, pages. Only here matplotlib and ipywidgets are imported."""
