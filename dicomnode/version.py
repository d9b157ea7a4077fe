"""What the product calls itself in every result (one place, read by packaging too)."""

VERSION = "0.1.0"
PRODUCT_NAME = "dicomnode"
MANUFACTURER = "dicomnode project"
