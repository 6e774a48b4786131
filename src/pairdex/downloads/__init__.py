"""What has been released, where it is, and how it is fetched."""
