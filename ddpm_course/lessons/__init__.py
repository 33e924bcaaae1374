"""What one lesson needs beside the core."""
