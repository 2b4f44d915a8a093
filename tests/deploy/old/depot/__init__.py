CODE = "old"
