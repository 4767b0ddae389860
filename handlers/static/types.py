"""The media type of a file, by the last extension of its name.

The table is our own, not the system's `mime.types` or Python's, which differs between versions, so that all machines
answer alike. It has the formats of browsers, players and office programs, with their registered type if there is one
(https://www.iana.org/assignments/media-types), and everything in nginx's default table. Other files are
`application/octet-stream`, which a browser saves because of `nosniff`; `Types` accepts more types.
"""

from collections.abc import Mapping

UNKNOWN = b"application/octet-stream"

_TABLE = """
application/atom+xml                    atom
application/dash+xml                    mpd
application/dicom                       dcm
application/epub+zip                    epub
application/geo+json                    geojson
application/geopackage+sqlite3          gpkg
application/gpx+xml                     gpx
application/graphql                     graphql gql
application/gzip                        gz tgz taz
application/java-archive                jar war ear
application/json                        json map topojson har
application/json5                       json5
application/jsonl                       jsonl ndjson
application/ld+json                     jsonld
application/mac-binhex40                hqx
application/manifest+json               webmanifest
application/mathml+xml                  mathml
application/mbox                        mbox
application/msword                      doc dot wiz
application/n-quads                     nq
application/n-triples                   nt
application/oda                         oda
application/ogg                         ogx
application/pdf                         pdf
application/pgp-encrypted               pgp
application/pgp-signature               sig
application/pkcs10                      p10
application/pkcs7-mime                  p7c p7m
application/pkcs7-signature             p7s
application/pkix-crl                    crl
application/postscript                  ai eps ps
application/rdf+xml                     rdf owl
application/rss+xml                     rss
application/rtf                         rtf
application/smil+xml                    smi smil
application/sql                         sql
application/toml                        toml
application/trig                        trig
application/vnd.amazon.ebook            azw
application/vnd.android.package-archive apk
application/vnd.apple.installer+xml     mpkg
application/vnd.apple.keynote           key
application/vnd.apple.mpegurl           m3u8 m3u
application/vnd.apple.numbers           numbers
application/vnd.apple.pages             pages
application/vnd.apple.pkpass            pkpass
application/vnd.debian.binary-package   deb udeb
application/vnd.google-earth.kml+xml    kml
application/vnd.google-earth.kmz        kmz
application/vnd.ms-cab-compressed       cab
application/vnd.ms-excel                xls xlb xlt xlm xla xlc xlw
application/vnd.ms-fontobject           eot
application/vnd.ms-outlook              msg
application/vnd.ms-powerpoint           ppt pot ppa pps pwz
application/vnd.ms-project              mpp mpt
application/vnd.ms-xpsdocument          xps
application/vnd.oasis.opendocument.chart        odc
application/vnd.oasis.opendocument.database     odb
application/vnd.oasis.opendocument.formula      odf
application/vnd.oasis.opendocument.graphics     odg
application/vnd.oasis.opendocument.graphics-template        otg
application/vnd.oasis.opendocument.presentation             odp
application/vnd.oasis.opendocument.presentation-template    otp
application/vnd.oasis.opendocument.spreadsheet              ods
application/vnd.oasis.opendocument.spreadsheet-template     ots
application/vnd.oasis.opendocument.text                     odt
application/vnd.oasis.opendocument.text-template            ott
application/vnd.openxmlformats-officedocument.presentationml.presentation   pptx
application/vnd.openxmlformats-officedocument.presentationml.slideshow      ppsx
application/vnd.openxmlformats-officedocument.presentationml.template       potx
application/vnd.openxmlformats-officedocument.spreadsheetml.sheet           xlsx
application/vnd.openxmlformats-officedocument.spreadsheetml.template        xltx
application/vnd.openxmlformats-officedocument.wordprocessingml.document     docx
application/vnd.openxmlformats-officedocument.wordprocessingml.template     dotx
application/vnd.rar                     rar
application/vnd.sqlite3                 sqlite sqlite3 db
application/vnd.visio                   vsd vst vss vsw
application/vnd.wap.wmlc                wmlc
application/wasm                        wasm
application/x-7z-compressed             7z
application/x-apple-diskimage           dmg
application/x-bcpio                     bcpio
application/x-bittorrent                torrent
application/x-brotli                    br
application/x-bzip2                     bz2 tbz2 tbz
application/x-cocoa                     cco
application/x-compress                  z
application/x-cpio                      cpio
application/x-csh                       csh
application/x-dvi                       dvi
application/x-gtar                      gtar
application/x-hdf                       hdf
application/x-hdf5                      h5
application/x-iso9660-image             iso
application/x-java-archive-diff         jardiff
application/x-java-jnlp-file            jnlp
application/x-latex                     latex
application/x-lzma                      lzma
application/x-makeself                  run
application/x-mif                       mif
application/x-mobipocket-ebook          mobi
application/x-netcdf                    cdf nc
application/x-perl                      pm
application/x-pilot                     prc pdb
application/x-pkcs12                    p12 pfx
application/x-python-code               pyc pyo
application/x-redhat-package-manager    rpm
application/x-sea                       sea
application/x-sh                        sh
application/x-shar                      shar
application/x-shockwave-flash           swf
application/x-stuffit                   sit
application/x-subrip                    srt
application/x-sv4cpio                   sv4cpio
application/x-sv4crc                    sv4crc
application/x-tar                       tar
application/x-tcl                       tcl tk
application/x-tex                       tex
application/x-texinfo                   texi texinfo
application/x-troff                     roff t tr
application/x-troff-man                 man
application/x-troff-me                  me
application/x-troff-ms                  ms
application/x-ustar                     ustar
application/x-wais-source               src
application/x-x509-ca-cert              crt cer der pem
application/x-xpinstall                 xpi
application/x-xz                        xz txz
application/xhtml+xml                   xhtml xht
application/xml                         xml xsl xsd wsdl xpdl
application/xml-dtd                     dtd
application/xslt+xml                    xslt
application/xspf+xml                    xspf
application/yaml                        yaml yml
application/zip                         zip
application/zstd                        zst

audio/3gpp2         3g2 3gpp2
audio/aac           aac adts ass loas
audio/basic         au snd
audio/flac          flac
audio/matroska      mka
audio/midi          mid midi kar rmi
audio/mp4           m4a f4a m4b
audio/mpeg          mp3 mp2 mpga
audio/ogg           oga ogg opus spx
audio/wav           wav
audio/webm          weba
audio/x-aiff        aif aifc aiff
audio/x-ms-wma      wma
audio/x-realaudio   ra ram

font/collection     ttc
font/otf            otf
font/ttf            ttf
font/woff           woff
font/woff2          woff2

image/apng              apng
image/avif              avif avifs
image/bmp               bmp
image/gif               gif
image/heic              heic
image/heif              heif
image/ief               ief
image/jp2               jp2
image/jpeg              jpg jpeg jpe jfif
image/jxl               jxl
image/ktx               ktx
image/ktx2              ktx2
image/png               png
image/svg+xml           svg svgz
image/tiff              tif tiff
image/vnd.adobe.photoshop   psd
image/vnd.djvu          djvu djv
image/vnd.dwg           dwg
image/vnd.dxf           dxf
image/vnd.microsoft.icon    ico cur
image/vnd.wap.wbmp      wbmp
image/webp              webp
image/x-cmu-raster      ras
image/x-jng             jng
image/x-portable-anymap     pnm
image/x-portable-bitmap     pbm
image/x-portable-graymap    pgm
image/x-portable-pixmap     ppm
image/x-rgb             rgb
image/x-xbitmap         xbm
image/x-xpixmap         xpm
image/x-xwindowdump     xwd

message/rfc822      eml mht mhtml nws

model/3mf           3mf
model/gltf+json     gltf
model/gltf-binary   glb
model/mtl           mtl
model/obj           obj
model/stl           stl
model/vnd.usdz+zip  usdz

text/cache-manifest     appcache manifest
text/calendar           ics ifb
text/css                css
text/csv                csv
text/html               html htm shtml
text/javascript         js mjs cjs
text/markdown           md markdown
text/mathml             mml
text/n3                 n3
text/plain              txt text log conf ini cfg bat c cc cpp h hpp go java kt ksh lua pl py rb rs rst swift diff patch
text/richtext           rtx
text/tab-separated-values   tsv
text/turtle             ttl
text/vcard              vcf
text/vnd.sun.j2me.app-descriptor    jad
text/vnd.wap.wml        wml
text/vtt                vtt
text/x-component        htc
text/x-setext           etx
text/x-sgml             sgm sgml

video/3gpp          3gp 3gpp
video/matroska      mkv
video/mp2t          ts m2ts mts
video/mp4           mp4 m4v f4v mp4v
video/mpeg          mpeg mpg mpe m1v m2v mpa
video/ogg           ogv
video/quicktime     mov qt
video/webm          webm
video/x-flv         flv
video/x-mng         mng
video/x-ms-asf      asf asx
video/x-ms-wmv      wmv
video/x-msvideo     avi
video/x-sgi-movie   movie
"""


def parse_types(text: str) -> dict[str, str]:
    """Media types by extension, out of lines `type extension extension...`, as /etc/mime.types and nginx have them.

    `#` begins a comment. Raises ValueError, with the line's number, for a line that is something else.
    """
    types: dict[str, str] = {}
    for number, line in enumerate(text.splitlines(), 1):
        words = line.partition("#")[0].replace(";", " ").split()
        if not words or words in (["types", "{"], ["}"]):
            continue
        if not _is_type(words[0]):
            raise ValueError(f"line {number}: {words[0]!r} is not a media type, such as image/png")
        for extension in words[1:]:
            types[extension.removeprefix(".").lower()] = words[0]
    return types


def _is_type(word: str) -> bool:
    kind, slash, name = word.partition("/")
    return (
        bool(kind and slash and name) and word.isascii() and word.isprintable() and "/" not in name and '"' not in word
    )


class Types:
    """Media types by extension. `further` types override those of the table."""

    __slots__ = ("_values",)

    def __init__(self, further: Mapping[str, str] | None = None) -> None:
        table = _DEFAULT | dict(further or {})
        self._values = {extension.encode("utf-8", "surrogateescape"): _value(kind) for extension, kind in table.items()}

    def of(self, name: bytes) -> bytes:
        """The Content-Type of a file called `name`; text is declared as UTF-8."""
        _, dot, extension = name.rpartition(b".")
        return self._values.get(extension.lower(), UNKNOWN) if dot else UNKNOWN


def _value(kind: str) -> bytes:
    return f"{kind}; charset=utf-8".encode() if kind.startswith("text/") else kind.encode()


_DEFAULT = parse_types(_TABLE)
DEFAULT = Types()


def own_coding(name: bytes) -> bytes:
    """The content coding that the name of a file implies: `.svgz` is a compressed SVG image."""
    return b"gzip" if name[-5:].lower() == b".svgz" else b""
