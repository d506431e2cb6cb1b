"""Archives read member by member, without ever unpacking them: zip, tar, folder."""
