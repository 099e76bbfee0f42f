"""ESC-50: 2000 recordings of 50 classes (Piczak 2015)."""
