"""Greater-than: claims about heads that bring a year to the end, and MLPs that tell which years are larger."""
