"""MSCLNet (Zhang et al., ECCV 2022): visible-infrared person re-identification."""
