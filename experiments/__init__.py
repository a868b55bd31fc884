"""Papers, one file each: data + model + loss + methods -> rows; claims."""
