"""What is compared: one module of receivers and one of settings for each, and the models that all of them save."""
