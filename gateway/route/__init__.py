"""From a recipient and the directory to a delivery plan. Pure."""
