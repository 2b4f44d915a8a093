"""What a person does with events and deliveries: the one place for the admin and the command line."""
