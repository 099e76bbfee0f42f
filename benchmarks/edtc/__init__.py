"""What EDTC's parts take."""
