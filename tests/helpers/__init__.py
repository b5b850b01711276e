"""What tests share. conftest.py is beside this package, so pytest puts it on the path."""
