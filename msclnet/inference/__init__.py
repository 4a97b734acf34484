"""A trained model in use: search in a folder of images, export, model cards. Needs the extra ``use``."""
