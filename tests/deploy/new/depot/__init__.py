CODE = "new"
