"""What timelines of long recordings are worth, and what they take."""
