"""Papers, one file each: data + model + loss + methods -> rows; claims."""

from assay import cli

cli.before_imports()
