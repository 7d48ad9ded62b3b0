"""What a change of prices does to the money that customers pay: compared, reviewed, and as a page."""
