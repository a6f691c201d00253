"""What no command can say of a new card: balance, numbers, and a past it never had."""

from dataclasses import replace

from apdu.commands import EP
from apdu.file_commands import AID_PURSE
from apdu.files import EF1A, EF1E, EF18
from emulator.card.profile import Profile
from emulator.card.state import Directory, File, Image, Records, with_directory


def purse_index(image: Image, name: bytes = AID_PURSE) -> int:
    """Where in the image the directory of that name is. Raises KeyError if it is not there."""
    for at, directory in enumerate(image.directories):
        if directory.head.name == name:
            return at
    raise KeyError(name.hex())


def preset(image: Image, profile: Profile) -> Image:
    """The image with the profile's balance, ceiling, limit, numbers, records and block."""
    at = purse_index(image)
    directory = image.directories[at]
    purse = replace(
        directory.purses[EP],
        ceiling=profile.ceiling,
        actual=profile.balance,
        limit=profile.overdraft_limit,
        used=profile.overdraft_used,
        online_seq=profile.online_seq,
        offline_seq=profile.offline_seq,
    )
    after = replace(
        directory,
        files=_with_past(directory, profile),
        purses={**directory.purses, EP: purse},
        blocked=profile.blocked,
    )
    return with_directory(image, at, after)


def _with_past(directory: Directory, profile: Profile) -> dict[int, File]:
    files = dict(directory.files)
    trip = profile.trip_record
    if trip is not None:
        held = files[EF1A.sfi].content
        assert isinstance(held, tuple)
        at = trip[1] - 1
        _put(files, EF1A.sfi, (*held[:at], trip, *held[at + 1 :]))
    if profile.transactions:
        _put(files, EF18.sfi, profile.transactions)
    if profile.trips:
        _put(files, EF1E.sfi, profile.trips)
    return files


def _put(files: dict[int, File], sfi: int, records: Records) -> None:
    files[sfi] = File(files[sfi].head, records, True)
