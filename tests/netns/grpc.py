"""A pod and a client that are shaped like gRPC: length-prefixed messages in HTTP/2, and the status in a trailer.

    grpc.py serve PORT                         by prior knowledge, without TLS; prints "ready"
    grpc.py call tls|h2c ADDRESS PORT HOST NAME...   each NAME a call, all on one connection; prints what came of it

The pod's methods: /test/Unary answers the message in upper case; /test/Stream each message as it comes; /test/Missing trailers only, status 5; /test/Reset resets in the
middle of its answer, /test/Cancel likewise with CANCEL; /test/Refused refuses each second stream; /test/Leave answers and says GOAWAY; /test/Big a megabyte; /test/Peer what the pod saw.
"""
import socket
import ssl
import struct
import sys
import threading

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (ConnectionTerminated, DataReceived, RequestReceived, ResponseReceived, StreamEnded, StreamReset,
                       TrailersReceived, WindowUpdated)

OK = [(':status', '200'), ('content-type', 'application/grpc')]


def frame(message):
    return b'\0' + struct.pack('>I', len(message)) + message


def messages(buffer):
    while len(buffer) >= 5 and len(buffer) >= 5 + struct.unpack('>I', buffer[1:5])[0]:
        n = struct.unpack('>I', buffer[1:5])[0]
        yield bytes(buffer[5:5 + n])
        del buffer[:5 + n]


class Pod:
    refused = 0

    def __init__(self, sock):
        self.sock = sock
        self.conn = H2Connection(H2Configuration(client_side=False))
        self.streams = {}
        self.waiting = {}

    def send(self, stream, data, end):
        self.waiting.setdefault(stream, [bytearray(), None])
        self.waiting[stream][0] += data
        if end is not None:
            self.waiting[stream][1] = end
        self.pump(stream)

    def pump(self, stream):
        data, end = self.waiting[stream]
        while data:
            n = min(len(data), self.conn.local_flow_control_window(stream), self.conn.max_outbound_frame_size)
            if n == 0:
                return
            self.conn.send_data(stream, bytes(data[:n]))
            del data[:n]
        if end is not None:
            self.conn.send_headers(stream, end, end_stream=True)
            del self.waiting[stream]

    def begin(self, stream, headers):
        method = headers[':path']
        self.streams[stream] = (method, bytearray(), headers)
        if method == '/test/Missing':
            self.conn.send_headers(stream, OK + [('grpc-status', '5'), ('grpc-message', 'not found')], end_stream=True)
        elif method == '/test/Refused' and Pod.refused % 2 == 0:
            Pod.refused += 1
            self.conn.reset_stream(stream, ErrorCodes.REFUSED_STREAM)
            del self.streams[stream]
        elif method in ('/test/Reset', '/test/Cancel'):
            self.conn.send_headers(stream, OK)
            self.conn.send_data(stream, frame(b'half')[:7])
            self.conn.reset_stream(stream, ErrorCodes.CANCEL if method == '/test/Cancel' else ErrorCodes.INTERNAL_ERROR)
            del self.streams[stream]
        else:
            self.conn.send_headers(stream, OK)

    def got(self, stream, data):
        method, buffer, _ = self.streams[stream]
        buffer += data
        if method == '/test/Stream':
            for message in messages(buffer):
                self.send(stream, frame(message.upper()), None)

    def end(self, stream):
        method, buffer, headers = self.streams.pop(stream)
        if method in ('/test/Missing',):
            return
        answer = b''
        if method == '/test/Big':
            answer = frame(bytes(1048576))
        elif method == '/test/Peer':
            seen = ('x-forwarded-for', 'te', ':authority', 'connection')
            answer = frame(' '.join('%s=%s' % (n.strip(':'), headers.get(n, '-')) for n in seen).encode())
        elif method != '/test/Stream':
            answer = b''.join(frame(m.upper()) for m in messages(buffer))
        self.send(stream, answer, [('grpc-status', '0'), ('grpc-message', 'fine'), ('x-forwarded-for', '1.2.3.4')])
        if method == '/test/Leave':
            self.conn.close_connection(last_stream_id=stream)

    def run(self):
        self.conn.initiate_connection()
        while True:
            self.sock.sendall(self.conn.data_to_send())
            data = self.sock.recv(65536)
            if not data:
                return
            for e in self.conn.receive_data(data):
                if isinstance(e, RequestReceived):
                    self.begin(e.stream_id, {k.decode() if isinstance(k, bytes) else k: v.decode() if isinstance(v, bytes) else v
                                             for k, v in e.headers})
                elif isinstance(e, DataReceived):
                    self.conn.acknowledge_received_data(e.flow_controlled_length, e.stream_id)
                    if e.stream_id in self.streams:
                        self.got(e.stream_id, e.data)
                elif isinstance(e, StreamEnded) and e.stream_id in self.streams:
                    self.end(e.stream_id)
                elif isinstance(e, StreamReset):
                    self.streams.pop(e.stream_id, None)
                    self.waiting.pop(e.stream_id, None)
                elif isinstance(e, WindowUpdated):
                    for stream in list(self.waiting):
                        self.pump(stream)
                elif isinstance(e, ConnectionTerminated):
                    return


def serve_one(sock):
    try:
        Pod(sock).run()
    except Exception as error:  # a client that went away
        print('pod: %r' % error, flush=True)
    finally:
        sock.close()


def serve(port):
    listener = socket.create_server(('', port), backlog=128)
    print('ready', flush=True)
    while True:
        sock, _ = listener.accept()
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        threading.Thread(target=serve_one, args=(sock,), daemon=True).start()


class Client:
    def __init__(self, how, address, port, host):
        sock = socket.create_connection((address, port), timeout=15)
        if how == 'tls':
            context = ssl._create_unverified_context()
            context.set_alpn_protocols(['h2'])
            sock = context.wrap_socket(sock, server_hostname=host)
        self.sock, self.host, self.how = sock, host, how
        self.conn = H2Connection(H2Configuration(client_side=True))
        self.conn.initiate_connection()
        self.flush()

    def flush(self):
        self.sock.sendall(self.conn.data_to_send())

    def call(self, name):
        stream = self.conn.get_next_available_stream_id()
        self.conn.send_headers(stream, [(':method', 'POST'), (':scheme', 'https' if self.how == 'tls' else 'http'),
                                        (':authority', self.host), (':path', '/test/' + name), ('te', 'trailers'),
                                        ('content-type', 'application/grpc')], end_stream=name == 'Refused')
        # Of a stream the next message is sent when the last has come back: both directions are open at once.
        left = [b'one', b'two', b'three'] if name == 'Stream' else [b'hello']
        if name != 'Refused':
            self.conn.send_data(stream, frame(left.pop(0)))
        if not left and name != 'Refused':
            self.conn.end_stream(stream)
        self.flush()
        status, said, size, trailers, buffer = '-', [], 0, {}, bytearray()
        while True:
            data = self.sock.recv(65536)
            if not data:
                return 'closed'
            for e in self.conn.receive_data(data):
                if isinstance(e, ResponseReceived):
                    head = dict(e.headers)
                    status = head[b':status' if b':status' in head else ':status']
                    trailers.update({k: v for k, v in head.items() if b'grpc' in (k if isinstance(k, bytes) else k.encode())})
                elif isinstance(e, DataReceived):
                    self.conn.acknowledge_received_data(e.flow_controlled_length, e.stream_id)
                    buffer += e.data
                    for message in messages(buffer):
                        size += len(message)
                        said.append(message[:200].decode(errors='replace') if len(message) < 100000 else 'big')
                        if left:
                            self.conn.send_data(stream, frame(left.pop(0)))
                            if not left:
                                self.conn.end_stream(stream)
                elif isinstance(e, TrailersReceived):
                    trailers.update(dict(e.headers))
                elif isinstance(e, StreamReset):
                    self.flush()
                    return 'reset %d' % e.error_code
                elif isinstance(e, StreamEnded):
                    self.flush()
                    text = {k.decode() if isinstance(k, bytes) else k: v.decode() if isinstance(v, bytes) else v
                            for k, v in trailers.items()}
                    status = status.decode() if isinstance(status, bytes) else status
                    return '%s %s %d %s' % (status, '|'.join(said), size,
                                            ' '.join('%s=%s' % kv for kv in sorted(text.items())))
            self.flush()


if sys.argv[1] == 'serve':
    serve(int(sys.argv[2]))
else:
    client = Client(sys.argv[2], sys.argv[3], int(sys.argv[4]), sys.argv[5])
    for each in sys.argv[6:]:
        print(each, client.call(each), flush=True)
