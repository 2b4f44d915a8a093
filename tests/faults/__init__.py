"""What goes wrong, made to order: between a client and its server, and in processes of our own."""
