"""What exercises observe with: small networks, watched runs, trees, words."""
