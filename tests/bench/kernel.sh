# shellcheck shell=bash
# The lab of comparison: nginx as the ingress and nftables rules shaped as kube-proxy writes them, in one routing node.
#
#   client ── veth ── middle: nginx at $INGRESS_IP, rules for $SERVICE_CIDR and $WEB_IP ── veth ── pod0, pod1
#
# Sourced by compare.sh, behind lab.sh.

kernel_service() { # kernel_service NAME PORT ADDRESS...: one service on port 80 of each address, two endpoints
    local name=$1 port=$2 i addr
    shift 2
    for i in 0 1; do
        echo "add chain ip services endpoint-$name-$i"
        echo "add rule ip services endpoint-$name-$i ip saddr ${POD_IP[i]} jump mark-for-masquerade"
        echo "add rule ip services endpoint-$name-$i meta l4proto tcp dnat to ${POD_IP[i]}:$port"
    done
    for addr in "$@"; do
        echo "add chain ip services service-$name-$addr"
        echo "add rule ip services service-$name-$addr ip daddr $addr tcp dport 80 ip saddr != $POD_CIDR jump mark-for-masquerade"
        echo "add rule ip services service-$name-$addr numgen random mod 2 vmap { 0 : goto endpoint-$name-0, 1 : goto endpoint-$name-1 }"
        echo "add element ip services service-ips { $addr . tcp . 80 : goto service-$name-$addr }"
    done
}

# kube-proxy's nftables mode: a verdict map to a chain per service, a random choice to a chain per endpoint, masquerade by mark.
kernel_rules() {
    cat <<'END'
add table ip services
add map ip services service-ips { type ipv4_addr . inet_proto . inet_service : verdict; }
add map ip services no-endpoint-services { type ipv4_addr . inet_proto . inet_service : verdict; }
add chain ip services mark-for-masquerade
add rule ip services mark-for-masquerade mark set mark or 0x4000
add chain ip services services
add rule ip services services ip daddr . meta l4proto . th dport vmap @service-ips
add chain ip services nat-prerouting { type nat hook prerouting priority dstnat; }
add rule ip services nat-prerouting jump services
add chain ip services nat-output { type nat hook output priority -100; }
add rule ip services nat-output jump services
add chain ip services nat-postrouting { type nat hook postrouting priority srcnat; }
add rule ip services nat-postrouting mark and 0x4000 == 0 return
add rule ip services nat-postrouting mark set mark xor 0x4000
add rule ip services nat-postrouting masquerade fully-random
add chain ip services endpoints-check
add rule ip services endpoints-check ip daddr . meta l4proto . th dport vmap @no-endpoint-services
add chain ip services filter-forward { type filter hook forward priority -110; }
add rule ip services filter-forward ct state new jump endpoints-check
add chain ip services filter-output { type filter hook output priority -110; }
add rule ip services filter-output ct state new jump endpoints-check
END
    kernel_service web 8080 "$CLUSTER_IP_WEB" "$WEB_IP"
    kernel_service close 8082 "$CLUSTER_IP_CLOSE"
}

# Large buffers: with nginx's own it is four times slower on large bodies, which would be no opponent.
kernel_nginx() {
    cat <<END
worker_processes 1; daemon off; user root; pid $WORK/ingress.pid; error_log $WORK/ingress.err warn; worker_rlimit_nofile 20000;
events { worker_connections 16000; }
http {
  access_log off; tcp_nodelay on; keepalive_requests 100000000; keepalive_timeout 300;
  client_body_temp_path $WORK/tmp; proxy_temp_path $WORK/tmp; fastcgi_temp_path $WORK/tmp; uwsgi_temp_path $WORK/tmp; scgi_temp_path $WORK/tmp;
  proxy_max_temp_file_size 0; proxy_request_buffering off;
  proxy_buffer_size 64k; proxy_buffers 32 64k; proxy_busy_buffers_size 512k;
  proxy_set_header Host \$host; proxy_set_header X-Real-IP \$remote_addr;
  proxy_set_header X-Forwarded-For \$proxy_add_x_forwarded_for; proxy_set_header X-Forwarded-Proto \$scheme;
  proxy_set_header X-Forwarded-Host \$http_host; proxy_set_header X-Forwarded-Port \$server_port;
  proxy_http_version 1.1; proxy_set_header Connection "";
  upstream web { server $CLUSTER_IP_WEB:80; keepalive 1024; keepalive_requests 100000000; }
  upstream close { server $CLUSTER_IP_CLOSE:80; }
  server {
    listen $INGRESS_IP:80 backlog=65535;
    location / { proxy_pass http://web; }
    location /close { proxy_pass http://close; }
  }
}
END
}

kernel_up() {
    group_make kernel
    spaces_routed kernel
    pods_up kernel
    ip -n "$RUN-kernel-middle" addr add "$INGRESS_IP/32" dev lo
    ip -n "$RUN-kernel-middle" addr add "$GATEWAY/32" dev lo
    ip -n "$RUN-kernel-middle" route add "$SERVICE_CIDR" dev vc src "$GATEWAY" # never used as it is: DNAT comes first
    kernel_rules | ip netns exec "$RUN-kernel-middle" nft -f -
    kernel_nginx >"$WORK/ingress.conf"
    spawn kernel-ingress kernel middle "$RUN-kernel-middle" nginx -e "$WORK/ingress.err" -p "$WORK" -c "$WORK/ingress.conf"
    answers kernel "http://$WEB_IP/"
    answers kernel "http://$INGRESS_IP/"
}

# Entries of closed connections go, so that rounds start alike and a shared table does not fill.
kernel_rest() {
    local state
    for state in TIME_WAIT CLOSE LAST_ACK; do
        ip netns exec "$RUN-kernel-middle" conntrack -D -p tcp --state "$state" >/dev/null 2>&1 || true
    done
}
