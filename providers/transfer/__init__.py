"""What every kind of provider needs to bring an image in: fetching it, unpacking it, and looking at what it is."""
