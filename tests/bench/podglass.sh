# shellcheck shell=bash
# podglass between the same clients and pods, in two ways. Sourced by compare.sh, behind lab.sh.
#
#   routed   client ── veth ── middle (routes) ── one TUN ── podglass; pods on veth pairs of the middle: each packet passes the
#            middle's routing on its way to podglass and again on its way from there
#   direct   a TUN in the client's and in each pod's namespace: nothing routes in between

podglass_manifest() {
    local i
    cat <<END
apiVersion: podglass/v1alpha1
kind: Lab
metadata: {name: lab}
spec:
  podCIDRs: [$POD_CIDR]
  serviceCIDRs: [$SERVICE_CIDR]
  nodes:
    - {name: node-0, address: 198.18.3.1, podCIDR: 198.18.11.0/24}
    - {name: node-1, address: 198.18.3.2, podCIDR: 198.18.12.0/24}
  clients:
    - {name: client, address: $1}
  ingress: {service: default/gateway, limits: {requestsPerConnection: 1000000000}}
---
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: web}
spec:
  rules:
    - http:
        paths:
          - {path: /, pathType: Prefix, backend: {service: {name: web, port: {number: 80}}}}
          - {path: /close, pathType: Prefix, backend: {service: {name: close, port: {number: 80}}}}
---
apiVersion: v1
kind: Pod
metadata: {name: gateway, labels: {app: gateway}}
spec: {nodeName: node-0, containers: [{name: main, image: example.test/main}]}
status: {phase: Running, podIP: 198.18.11.3}
---
apiVersion: v1
kind: Service
metadata: {name: gateway}
spec: {type: LoadBalancer, clusterIP: 198.19.1.1, externalTrafficPolicy: Local, selector: {app: gateway}, ports: [{port: 80}]}
status: {loadBalancer: {ingress: [{ip: $INGRESS_IP}]}}
---
apiVersion: v1
kind: Service
metadata: {name: web}
spec: {type: LoadBalancer, clusterIP: $CLUSTER_IP_WEB, selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}
status: {loadBalancer: {ingress: [{ip: $WEB_IP}]}}
---
apiVersion: v1
kind: Service
metadata: {name: close}
spec: {clusterIP: $CLUSTER_IP_CLOSE, selector: {app: web}, ports: [{port: 80, targetPort: 8082}]}
END
    for i in 0 1; do
        cat <<END
---
apiVersion: v1
kind: Pod
metadata: {name: web-$i, labels: {app: web}}
spec: {nodeName: node-$i, containers: [{name: main, image: example.test/main}]}
status: {phase: Running, podIP: ${POD_IP[i]}}
END
    done
}

podglass_start() { # podglass_start LAB FLAG...
    local lab=$1
    shift
    spawn "$lab-podglass" "$lab" middle "$RUN-$lab-middle" "$PODGLASS" run -f "$WORK/$lab.yaml" --socket "$WORK/$lab.sock" --configure "$@"
    wait_for 10 "$PODGLASS" get nodes --socket "$WORK/$lab.sock" || die "lab $lab: podglass does not start: $(cat "$WORK/$lab-podglass.log")"
}

routed_up() {
    group_make routed
    spaces_routed routed
    pods_up routed
    podglass_manifest "$GATEWAY" >"$WORK/routed.yaml"
    podglass_start routed --tun pg0
    ip -n "$RUN-routed-middle" link set pg0 txqueuelen 4096
    answers routed "http://$WEB_IP/"
    answers routed "http://$INGRESS_IP/"
}

direct_possible() { "$PODGLASS" help run | grep -q -- '--tun NAME.*@NETNS'; }

direct_up() {
    local i
    group_make direct
    for i in middle client pod0 pod1; do space_make "$RUN-direct-$i"; done
    pods_up direct
    podglass_manifest "$CLIENT_IP" >"$WORK/direct.yaml"
    podglass_start direct --tun "pgc@$RUN-direct-client=$CLIENT_IP" \
        --tun "pgp@$RUN-direct-pod0=${POD_IP[0]}" --tun "pgp@$RUN-direct-pod1=${POD_IP[1]}"
    ip -n "$RUN-direct-client" link set pgc txqueuelen 4096
    for i in 0 1; do ip -n "$RUN-direct-pod$i" link set pgp txqueuelen 4096; done
    answers direct "http://$WEB_IP/"
    answers direct "http://$INGRESS_IP/"
}

routed_rest() { :; }
direct_rest() { :; }
