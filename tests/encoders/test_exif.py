"""When, with which camera and where a picture was taken."""

import io
from datetime import datetime

import pytest
from PIL import ExifTags, Image

from pairdex.encoders.exif import Facts, facts_of

GPS = ExifTags.GPS


def taken_with(tags=None, inner=None, gps=None):
    exif = Image.Exif()
    exif.update(tags or {})
    exif.get_ifd(ExifTags.IFD.Exif).update(inner or {})
    exif.get_ifd(ExifTags.IFD.GPSInfo).update(gps or {})
    file = io.BytesIO()
    Image.new("RGB", (8, 8)).save(file, "JPEG", exif=exif)
    return facts_of(Image.open(file))


def test_a_phone_picture_says_all_of_it():
    facts = taken_with(
        {ExifTags.Base.Make: "Canon", ExifTags.Base.Model: "Canon EOS 5D"},
        {ExifTags.Base.DateTimeOriginal: "2021:06:05 14:03:02"},
        {
            GPS.GPSLatitudeRef: "S",
            GPS.GPSLatitude: (33.0, 51.0, 36.0),
            GPS.GPSLongitudeRef: "E",
            GPS.GPSLongitude: (151.0, 12.0, 36.0),
        },
    )
    assert facts[:2] == (datetime(2021, 6, 5, 14, 3, 2), "Canon EOS 5D")
    assert facts[2:] == pytest.approx((-33.86, 151.21))


def test_maker_and_model_are_joined_where_the_model_does_not_say_its_maker():
    assert taken_with(
        {ExifTags.Base.Make: "Apple\0", ExifTags.Base.Model: "iPhone 12 "}
    ).camera == ("Apple iPhone 12")


def test_the_files_own_time_serves_where_the_camera_said_none():
    assert taken_with({ExifTags.Base.DateTime: "2020:01:02 03:04:05"}).taken == (
        datetime(2020, 1, 2, 3, 4, 5)
    )


@pytest.mark.parametrize("said", ["0000:00:00 00:00:00", "yesterday", "", "2021:13:40 99:99:99"])
def test_a_time_that_is_none_is_missing(said):
    assert taken_with({}, {ExifTags.Base.DateTimeOriginal: said}).taken is None


@pytest.mark.parametrize("latitude", [(91.0, 0.0, 0.0), (0.0, 0.0, 0.0)])
def test_a_place_that_is_none_is_missing(latitude):
    gps = {GPS.GPSLatitude: latitude, GPS.GPSLongitude: (0.0, 0.0, 0.0)}
    assert taken_with({}, {}, gps)[2:] == (None, None)


def test_a_picture_without_exif_says_nothing():
    assert facts_of(Image.new("RGB", (8, 8))) == Facts()
