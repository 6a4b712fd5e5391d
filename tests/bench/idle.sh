#!/bin/bash
# Memory of an idle client connection, with and without TLS: real clients over a TUN to nginx pods, one request each, then silence. What the process takes more
# for CONNECTIONS more is divided by them. bench-app-idle has the plain figure without a device, for many more.
#
#   tests/bench/idle.sh [CONNECTIONS]      default 4000; root; PODGLASS=build/release/podglass
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/../netns/lib.sh"

need nginx openssl
count=${1:-4000}
lab_up
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout "$WORK/tls.key" -out "$WORK/tls.crt" \
    -subj "/CN=tls.example.test" -addext "subjectAltName=DNS:tls.example.test" -days 7 2>>"$WORK/openssl.log"
{
    lab_manifest Local | sed 's/{name: http, port: 80, targetPort: 8000, nodePort: 30000}/&, {name: https, port: 443, targetPort: 8443}/'
    cat <<END
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: secure, namespace: shop}
spec:
  tls: [{hosts: [tls.example.test], secretName: tls}]
  rules:
    - host: tls.example.test
      http: {paths: [{path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}]}
---
apiVersion: v1
kind: Secret
metadata: {name: tls, namespace: shop}
type: kubernetes.io/tls
data:
  tls.crt: $(base64 -w0 "$WORK/tls.crt")
  tls.key: $(base64 -w0 "$WORK/tls.key")
END
} >"$WORK/lab.yaml"

cat >"$WORK/idle.py" <<'END'
import resource, socket, ssl, sys
vip, form, pid, count = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
resource.setrlimit(resource.RLIMIT_NOFILE, (count + 2000, count + 2000))
context = ssl.create_default_context()
context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
if form == 'TLS-1.2':
    context.maximum_version = ssl.TLSVersion.TLSv1_2
held = []

def open_one():
    s = socket.create_connection((vip, 80 if form == 'plain' else 443), timeout=20)
    if form != 'plain':
        s = context.wrap_socket(s, server_hostname='tls.example.test')
    s.sendall(b'GET /quiet HTTP/1.1\r\nHost: tls.example.test\r\n\r\n')
    if not s.recv(65536).startswith(b'HTTP/1.1 200'):
        sys.exit('no answer')
    held.append(s)

def resident():
    with open(f'/proc/{pid}/statm') as f:
        return int(f.read().split()[1]) * resource.getpagesize()

for _ in range(500):
    open_one()
before = resident()
for _ in range(count):
    open_one()
print(f'{form}: {(resident() - before) / count:.0f} bytes each')
END

for form in plain TLS-1.3 TLS-1.2; do
    start_podglass
    ok "$count idle connections, $(in_client "$PYTHON" "$WORK/idle.py" $VIP $form "$PG_PID" "$count")"
    stop_podglass
done
done_testing
