#!/usr/bin/env python3
"""Ends of connections that no packaged tool is: see the functions below. Used by the scripts of tests/netns.

peer.py sink PORT                       HTTP server for uploads, answers sha256 and length
peer.py udp-echo NAME PORT              answers "NAME PEER PORT TEXT"
peer.py udp-ask FROM TO PORT TEXT       one question on a connected socket: the answer, "refused", "unreachable" or "timeout"
peer.py hold COUNT URL [HOST [FROM]]    connections that stay open until standard input ends, a request per line of it
peer.py head URL HOST FROM              one request of which only the head is read until standard input has a line
peer.py tcp-ask FROM TO PORT            one connect: "open", "refused", "unreachable" or "timeout", and after how many ms
peer.py dns ADDRESS [FORGED-FROM]       name server at port 53 for *.example.org: answers A with 192.0.2.80, with a forged answer before each
peer.py tcp-say NAME PORT              answers each connection with "NAME PEER PORT"
peer.py http-say NAME PORT             HTTP server of both families: who asked, with which headers; takes uploads
peer.py tcp-see FROM PORT TO PORT       one connection from that address and port: the answer, "refused", "unreachable" or "timeout"
peer.py syns COUNT RATE TO PORT         SYNs that nobody completes, from addresses of 198.18.0.0/15 and source ports 1 to 511, RATE a second
peer.py resets COUNT TO PORT HOST       connections that end in a reset, half of them in the middle of a head
"""
import errno
import hashlib
import http.server
import json
import random
import select
import socket
import struct
import sys
import threading
import time
import urllib.parse


def sink(port):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def pieces(self):
            if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
                while True:
                    left = int(self.rfile.readline().split(b";")[0], 16)
                    if left == 0:
                        while self.rfile.readline().strip():
                            pass
                        return
                    while left:
                        piece = self.rfile.read(min(left, 1 << 18))
                        left -= len(piece)
                        yield piece
                    self.rfile.readline()
            left = int(self.headers.get("Content-Length", 0))
            while left:
                piece = self.rfile.read(min(left, 1 << 18))
                if not piece:
                    raise ConnectionError("body ended early")
                left -= len(piece)
                yield piece

        def do_PUT(self):
            total, digest = 0, hashlib.sha256()
            for piece in self.pieces():
                total += len(piece)
                digest.update(piece)
            self.answer({"sha256": digest.hexdigest(), "bytes": total, "peer": self.client_address[0],
                         "xff": self.headers.get("X-Forwarded-For", "")})

        do_POST = do_PUT

        def do_GET(self):
            self.answer({"ok": True})

        def answer(self, value):
            body = json.dumps(value).encode() + b"\n"
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    class Server(http.server.ThreadingHTTPServer):
        request_queue_size = 128
        daemon_threads = True

    Server(("0.0.0.0", port), Handler).serve_forever()


def dns(address, forged_from=None):
    """silent.* is not answered, big.* is cut and has 400 addresses over TCP, deaf.* is cut and TCP says nothing; none.* does not
    exist; SERVFAIL for the rest. Prints what it is asked."""
    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind((address, 53))
    forger = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    if forged_from:
        forger.bind((forged_from, 53))
    print("ready", flush=True)

    def answer(query, name, end, last):
        record = b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + socket.inet_aton("192.0.2.%d" % last)
        soa = b"\xc0\x0c\0\6\0\1\0\0\0\x3c\0\x16\0\0" + struct.pack(">5I", 1, 1, 1, 1, 30)
        wanted = query[end - 4:end - 2]
        first = name[0].lower()
        rcode = 3 if first == "none" else 0 if name[-2:] == ["example", "org"] else 2
        flags = 0x8180 | rcode | (0x200 if first in ("big", "deaf") else 0)
        good = rcode == 0 and wanted == b"\0\1"
        count = (0, 0, 0, 0) if rcode == 2 else (1, 0) if good else (0, 1)
        head = query[:2] + struct.pack(">HHHHH", flags, 1, count[0], count[1], 0)
        return head + query[12:end] + (record if good else soa if rcode != 2 else b"")

    def question(query):
        at, name = 12, []
        while query[at]:
            name.append(query[at + 1:at + 1 + query[at]].decode())
            at += 1 + query[at]
        return name, at + 5

    def streams():
        listener = socket.socket(socket.AF_INET)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, 53))
        listener.listen(16)
        deaf = []
        while True:
            c, peer = listener.accept()
            query = c.recv(2048)[2:]
            name, end = question(query)
            print("tcp", ".".join(name), peer[0], peer[1], flush=True)
            if name[0] == "deaf":
                deaf.append(c)
                continue
            records = b"".join(b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + bytes((192, 0, 2 + n // 256, n % 256)) for n in range(400))
            whole = query[:2] + struct.pack(">HHHHH", 0x8180, 1, 400, 0, 0) + query[12:end] + records
            framed = struct.pack(">H", len(whole)) + whole
            for at in range(0, len(framed), 1000):  # in many segments
                c.sendall(framed[at:at + 1000])
            c.close()

    threading.Thread(target=streams, daemon=True).start()
    while True:
        query, peer = server.recvfrom(2048)
        name, end = question(query)
        print("asked", ".".join(name) or ".", peer[0], peer[1], struct.unpack(">H", query[:2])[0], flush=True)
        if name[:1] == ["silent"]:
            continue
        good = answer(query, name or ["."], end, 80)
        if forged_from:
            bad = answer(query, name or ["."], end, 66)
            forger.sendto(bad, peer)  # from elsewhere
            for guess in range(1, 50):  # ids that are not it
                wrong = struct.unpack(">H", bad[:2])[0] ^ guess
                server.sendto(struct.pack(">H", wrong) + bad[2:], peer)
            server.sendto(bad, (peer[0], peer[1] ^ 1))  # another port
        server.sendto(good, peer)


def udp_echo(name, port):
    s = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    s.bind(("::", port))
    print("ready", flush=True)
    while True:
        text, peer = s.recvfrom(65536)
        s.sendto(f"{name} {peer[0].removeprefix('::ffff:')} {peer[1]} ".encode() + text, peer)


def word_of(error):
    words = {errno.ECONNREFUSED: "refused", errno.EHOSTUNREACH: "unreachable", errno.ENETUNREACH: "unreachable",
             errno.ETIMEDOUT: "timeout", errno.ECONNRESET: "reset"}
    return words.get(error.errno, str(error))


def family_of(address):
    return socket.AF_INET6 if ":" in address else socket.AF_INET


def tcp_say(name, port):
    s = socket.socket(socket.AF_INET6)
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    s.bind(("::", port))
    s.listen(64)
    print("ready", flush=True)
    while True:
        c, peer = s.accept()
        c.sendall(f"{name} {peer[0].removeprefix('::ffff:')} {peer[1]}\n".encode())
        c.close()


def http_say(name, port):
    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self):
            left = total = int(self.headers.get("Content-Length", 0))
            while left:
                left -= len(self.rfile.read(min(left, 1 << 16)))
            peer = self.client_address[0].removeprefix("::ffff:")
            body = (f"pod={name} peer={peer} port={self.client_address[1]} xff={self.headers.get('X-Forwarded-For', '')} "
                    f"bytes={total}\n").encode()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_PUT = do_GET

        def log_message(self, *_):
            pass

    class Server(http.server.ThreadingHTTPServer):
        address_family = socket.AF_INET6
        daemon_threads = True

    server = Server(("::", port), Handler)
    print("ready", flush=True)
    server.serve_forever()


def tcp_see(source, source_port, to, port):
    s = socket.socket(family_of(to))
    s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    # closed with a reset: the same port is used again at once, and no TIME_WAIT of the endpoint may be in its way
    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    s.bind((source, source_port))
    s.settimeout(2)
    try:
        s.connect((to, port))
        answer = s.recv(200).decode().strip() or "closed"
    except socket.timeout:
        answer = "timeout"
    except OSError as error:
        answer = word_of(error)
    s.close()
    print(answer)


def udp_ask(source, to, port, text):
    s = socket.socket(family_of(to), socket.SOCK_DGRAM)
    s.bind((source, 0))
    s.connect((to, port))
    s.settimeout(2)
    s.send(text.encode())
    try:
        answer = s.recv(65536).decode()
    except socket.timeout:
        answer = "timeout"
    except OSError as error:
        answer = word_of(error)
    print(s.getsockname()[1], answer)


def tcp_ask(source, to, port):
    s = socket.socket(family_of(to))
    s.bind((source, 0))
    s.settimeout(3)
    begin = time.monotonic()
    try:
        s.connect((to, port))
        answer = "open"
    except socket.timeout:
        answer = "timeout"
    except OSError as error:
        answer = word_of(error)
    print(answer, int((time.monotonic() - begin) * 1000))


def read_head(s):
    """Status, bytes that are still to come, and those of the body that came along."""
    got = b""
    while b"\r\n\r\n" not in got:
        piece = s.recv(4096)
        if not piece:
            raise ConnectionError("closed in the head")
        got += piece
    head, body = got.split(b"\r\n\r\n", 1)
    lines = head.decode("latin-1").split("\r\n")
    fields = {k.strip().lower(): v.strip() for k, v in (line.split(":", 1) for line in lines[1:])}
    return int(lines[0].split()[1]), int(fields["content-length"]) - len(body), body


def read_response(s):
    """Status and body of a response with Content-Length."""
    status, left, body = read_head(s)
    while left > 0:
        piece = s.recv(min(left, 65536))
        if not piece:
            raise ConnectionError("closed in the body")
        body += piece
        left -= len(piece)
    return status, body.decode("latin-1")


def connect_for(url, source=None):
    parts = urllib.parse.urlsplit(url)
    s = socket.socket()
    if source:
        s.bind((source, 0))
    s.settimeout(15)
    s.connect((parts.hostname, parts.port or 80))
    return s


def request_for(url, host=None):
    """Every client lies a little."""
    parts = urllib.parse.urlsplit(url)
    return (f"GET {parts.path or '/'}?{parts.query} HTTP/1.1\r\nHost: {host or parts.hostname}\r\n"
            "X-Forwarded-For: 192.0.2.99\r\n\r\n").encode()


def head(url, host, source):
    s = connect_for(url, source)
    s.sendall(request_for(url, host))
    status, left, _ = read_head(s)
    address, port = s.getsockname()
    print(json.dumps({"address": address, "port": port, "status": status}))
    print("ready", flush=True)
    sys.stdin.readline()
    while left > 0:
        piece = s.recv(min(left, 65536))
        if not piece:
            raise ConnectionError("closed in the body")
        left -= len(piece)
    print("ready", flush=True)
    sys.stdin.readline()


def hold(count, url, host=None, source=None):
    connections = [connect_for(url, source) for _ in range(count)]
    while True:
        for s in connections:
            s.sendall(request_for(url, host))
        for s in connections:
            status, body = read_response(s)
            address, port = s.getsockname()
            print(json.dumps({"address": address, "port": port, "status": status, "body": body.strip()}))
        print("ready", flush=True)
        if not sys.stdin.readline():
            return


def resets(count, to, port, host):
    for n in range(count):
        s = socket.socket()
        s.settimeout(5)
        s.connect((to, port))
        if n % 2:
            s.sendall(f"GET /quiet HTTP/1.1\r\nHost: {host}\r\nX-Half: ".encode())
        else:
            s.sendall(f"GET /files/bulk HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
            select.select([s], [], [], 1)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.close()


def syns(count, rate, to, port):
    def total(b):
        t = sum(struct.unpack(f"!{len(b) // 2}H", b))
        t = (t >> 16) + (t & 0xFFFF)
        return ~(t + (t >> 16)) & 0xFFFF

    s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    drawn = random.Random(1)
    dst = socket.inet_aton(to)
    begun = time.monotonic()
    for n in range(count):
        ahead = begun + n / rate - time.monotonic()
        if ahead > 0:
            time.sleep(ahead)
        src = struct.pack("!I", 198 << 24 | 18 << 16 | drawn.getrandbits(17))
        tcp = struct.pack("!HHIIBBHHHBBH", drawn.randint(1, 511), port, drawn.getrandbits(32), 0, 0x60, 2, 64240, 0, 0, 2, 4, 1460)
        tcp = tcp[:16] + struct.pack("!H", total(src + dst + struct.pack("!BBH", 0, 6, len(tcp)) + tcp)) + tcp[18:]
        s.sendto(struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(tcp), n & 0xFFFF, 0, 64, 6, 0) + src + dst + tcp, (to, 0))


def main(argv):
    verb, rest = argv[1], argv[2:]
    if verb == "sink":
        sink(int(rest[0]))
    elif verb == "udp-echo":
        udp_echo(rest[0], int(rest[1]))
    elif verb == "udp-ask":
        udp_ask(rest[0], rest[1], int(rest[2]), rest[3])
    elif verb == "tcp-ask":
        tcp_ask(rest[0], rest[1], int(rest[2]))
    elif verb == "tcp-say":
        tcp_say(rest[0], int(rest[1]))
    elif verb == "http-say":
        http_say(rest[0], int(rest[1]))
    elif verb == "tcp-see":
        tcp_see(rest[0], int(rest[1]), rest[2], int(rest[3]))
    elif verb == "hold":
        hold(int(rest[0]), *rest[1:])
    elif verb == "head":
        head(*rest)
    elif verb == "dns":
        dns(*rest)
    elif verb == "syns":
        syns(int(rest[0]), float(rest[1]), rest[2], int(rest[3]))
    elif verb == "resets":
        resets(int(rest[0]), rest[1], int(rest[2]), rest[3])
    else:
        sys.exit(__doc__)


if __name__ == "__main__":
    main(sys.argv)
