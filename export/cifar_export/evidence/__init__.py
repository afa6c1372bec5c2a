"""What is measured of a converted model before it is published."""
