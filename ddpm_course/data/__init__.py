"""The images that the lessons train on: Fashion-MNIST, where its files come from, and garments drawn by the course."""
