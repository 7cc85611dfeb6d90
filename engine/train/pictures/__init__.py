"""What a training sees: folders of pictures, synthetic photos and styles."""
