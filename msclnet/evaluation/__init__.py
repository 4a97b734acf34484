"""From the features of a split's test images to Rank-k, mAP and mINP."""
