/* Tables and selection of `podglass get`, from answers as the control API gives them. */
#include "get_internal.h"

#include "podglass/reason.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static const char conntrack[] =
    "{\"items\":["
    "{\"id\":1041,\"proto\":\"tcp\",\"state\":\"ESTABLISHED\","
    "\"original\":{\"src\":\"198.51.100.7\",\"srcPort\":52100,\"dst\":\"203.0.113.10\",\"dstPort\":"
    "80,\"packets\":5,\"bytes\":1100},"
    "\"reply\":{\"src\":\"10.244.1.2\",\"srcPort\":80,\"dst\":\"10.244.1.1\",\"dstPort\":5568,"
    "\"packets\":4,\"bytes\":4200},"
    "\"nat\":[\"dnat\",\"snat\"],\"service\":\"edge/"
    "gateway\",\"servicePort\":80,\"node\":\"node-1\",\"timeoutSeconds\":86399,"
    "\"seenReply\":true,\"assured\":true,\"flow\":\"c7f1\",\"ageSeconds\":8,"
    "\"dnatReason\":{\"code\":\"PG112\",\"object\":\"Service/edge/"
    "gateway\",\"field\":\"spec.type\",\"value\":\"LoadBalancer\","
    "\"defaulted\":false,\"source\":\"edge.yaml:9\"},"
    "\"snatReason\":{\"code\":\"PG101\",\"object\":\"Service/edge/"
    "gateway\",\"field\":\"spec.externalTrafficPolicy\","
    "\"value\":\"Cluster\",\"defaulted\":true,\"source\":\"edge.yaml:14\"}},"
    "{\"id\":1042,\"proto\":\"udp\",\"state\":null,"
    "\"original\":{\"src\":\"2001:db8::7\",\"srcPort\":40001,\"dst\":\"2001:db8::53\",\"dstPort\":"
    "53},"
    "\"reply\":{\"src\":\"2001:db8::53\",\"srcPort\":53,\"dst\":\"2001:db8::7\",\"dstPort\":40001},"
    "\"nat\":[],\"service\":null,\"timeoutSeconds\":12,\"seenReply\":false,\"flow\":\"c7f2\"},"
    "{\"id\":1043,\"proto\":\"icmp\",\"state\":null,\"original\":{\"src\":\"198.51.100.7\",\"dst\":"
    "\"192.0.2.11\",\"icmpType\":8,"
    "\"icmpCode\":0,\"icmpId\":77},\"reply\":{\"src\":\"192.0.2.11\",\"dst\":\"198.51.100.7\","
    "\"icmpType\":0,\"icmpCode\":0,"
    "\"icmpId\":77},\"nat\":[],\"timeoutSeconds\":29,\"seenReply\":true,\"flow\":\"c7f1\"}]}";

static const char connections[] =
    "{\"items\":[{\"flow\":\"c7f1\",\"state\":\"relay\",\"service\":\"shop/web\",\"pod\":\"shop/"
    "web-0\",\"requests\":3,\"lastStatus\":200,"
    "\"ageSeconds\":8,\"tls\":{\"version\":\"TLSv1.3\",\"cipher\":\"AES\",\"protocol\":\"h2\"},"
    "\"conntrackClient\":1041,\"conntrackUpstream\":1042,"
    "\"client\":{\"peer\":\"10.244.1.1\",\"peerPort\":5568,\"local\":\"10.244.1.2\",\"localPort\":"
    "80,\"state\":\"ESTAB\","
    "\"rttMicroseconds\":120,\"retransmits\":1,\"bytesIn\":1100,\"bytesOut\":4200,"
    "\"source\":{\"address\":\"198.51.100.7\",\"port\":52100},\"vip\":{\"address\":\"203.0.113."
    "10\",\"port\":80}},"
    "\"upstream\":{\"peer\":\"10.96.12.40\",\"peerPort\":80,\"local\":\"10.244.1.2\",\"localPort\":"
    "40001,\"state\":\"ESTAB\","
    "\"rttMicroseconds\":null,\"retransmits\":2,\"endpoint\":{\"address\":\"10.244.1.7\",\"port\":"
    "8080},"
    "\"seen\":{\"address\":\"10.244.1.2\",\"port\":40001}}},"
    "{\"flow\":\"c7f4\",\"state\":\"head\",\"service\":null,\"pod\":null,\"requests\":0,"
    "\"lastStatus\":null,\"ageSeconds\":2,"
    "\"conntrackClient\":null,\"conntrackUpstream\":null,\"upstream\":null,"
    "\"client\":{\"peer\":\"198.51.100.66\",\"peerPort\":40110,\"local\":\"10.244.1.2\","
    "\"localPort\":80,\"state\":\"ESTAB\","
    "\"rttMicroseconds\":200,\"retransmits\":0,\"bytesIn\":0,\"bytesOut\":0,\"source\":null,"
    "\"vip\":null}}]}";

static const char nat[] =
    "{\"items\":[{\"hook\":\"service\",\"kind\":\"dnat\",\"before\":{\"address\":\"10.96.12.40\","
    "\"port\":80},"
    "\"after\":{\"address\":\"10.244.1.7\",\"port\":8080},\"portMode\":\"fixed\","
    "\"endpointNumber\":1,\"endpointCount\":2,"
    "\"reason\":{\"code\":\"PG110\",\"object\":\"Service/shop/"
    "web\",\"field\":\"spec.type\",\"value\":\"ClusterIP\",\"source\":\"shop.yaml:3\"},"
    "\"activeFlows\":1,\"hits\":455},"
    "{\"hook\":\"front\",\"kind\":\"snat\",\"before\":null,\"after\":{\"address\":\"10.244.1.1\","
    "\"port\":null},\"portMode\":\"random\","
    "\"reason\":{\"code\":\"PG101\",\"object\":\"Service/edge/"
    "gateway\",\"field\":\"spec.externalTrafficPolicy\",\"value\":\"Cluster\","
    "\"defaulted\":true,\"source\":\"edge.yaml:14\"},\"activeFlows\":2,\"hits\":914}]}";

static const char services[] =
    "{\"items\":[{\"namespace\":\"edge\",\"name\":\"gateway\",\"type\":{\"value\":\"LoadBalancer\"}"
    ",\"clusterIPs\":[\"10.96.5.5\"],"
    "\"loadBalancerIPs\":[{\"address\":\"203.0.113.10\"}],\"externalIPs\":[\"192.0.2.80\"],"
    "\"externalName\":null,"
    "\"ports\":[{\"name\":\"http\",\"protocol\":\"tcp\",\"port\":80,\"nodePort\":30080},{"
    "\"protocol\":\"udp\",\"port\":53,\"nodePort\":null}],"
    "\"endpoints\":2,\"readyEndpoints\":1,\"externalTrafficPolicy\":{\"value\":\"Local\","
    "\"defaulted\":false},"
    "\"internalTrafficPolicy\":{\"value\":\"Cluster\",\"defaulted\":true},\"source\":\"edge.yaml:"
    "1\"},"
    "{\"namespace\":\"shop\",\"name\":\"web\",\"type\":{\"value\":\"ClusterIP\"},\"clusterIPs\":[],"
    "\"ports\":[]}]}";

static const char endpoints[] =
    "{\"items\":[{\"namespace\":\"shop\",\"name\":\"web\",\"endpoints\":["
    "{\"address\":\"10.244.1.7\",\"port\":8080,\"portName\":\"http\",\"servicePort\":80,\"ready\":"
    "true,\"serving\":true,"
    "\"terminating\":false,\"node\":\"node-1\",\"pod\":\"shop/web-0\",\"active\":1,\"hits\":455},"
    "{\"address\":\"2001:db8::9\",\"port\":8080,\"portName\":null,\"servicePort\":80,\"ready\":"
    "false,\"serving\":false,"
    "\"terminating\":true,\"node\":null,\"pod\":null,\"active\":0,\"hits\":0}]},"
    "{\"namespace\":\"shop\",\"name\":\"empty\",\"endpoints\":[]}]}";

static const char nodes[] =
    "{\"items\":[{\"name\":\"node-1\",\"ready\":true,\"addresses\":[\"192.0.2.11\",\"2001:db8::"
    "11\"],\"podCIDRs\":[\"10.244.1.0/24\"],"
    "\"gateways\":[\"10.244.1.1\"],\"zone\":null,\"pods\":2,\"source\":\"lab.yaml:4\"}]}";

static const char counters[] =
    "{\"counters\":{\"rx_packets\":3,\"tx_packets\":0},\"drops\":{\"short\":0,\"martian\":2},"
    "\"pools\":{\"flows\":{\"used\":7,\"limit\":9}}}";

static void expect(enum pg_get_type type, const char *answer, const char *name, bool wide,
                   const char *table)
{
    json_t *root = json_loads(answer, 0, NULL);
    struct pg_text out = {0};

    assert_non_null(root);
    json_t *items = pg_get_select(type, root, name, NULL);

    pg_get_render(type, items, wide, true, &out);
    assert_string_equal(out.at, table);
    pg_text_free(&out);
    json_decref(items);
    json_decref(root);
    pg_reason_forget_all();
}

/* Tables are kept as tables. */
static const char dns[] =
    "{\"items\":[{\"question\":\"Web.shop.svc.cluster.local.\",\"name\":\"Web.shop.svc.cluster."
    "local.\","
    "\"type\":\"A\",\"status\":\"NOERROR\",\"data\":\"10.96.12.40\",\"from\":\"zone\","
    "\"ttlSeconds\":30,\"timeoutSeconds\":null,\"ageSeconds\":null,"
    "\"reason\":{\"code\":\"PG301\",\"object\":\"Service/shop/web\",\"source\":\"shop.yaml:3\"}},"
    "{\"question\":\"no.example.org.\",\"name\":\"no.example.org.\",\"type\":\"AAAA\","
    "\"status\":\"NXDOMAIN\",\"data\":null,\"from\":\"cache\",\"ttlSeconds\":null,"
    "\"timeoutSeconds\":1700,\"ageSeconds\":100,"
    "\"reason\":{\"code\":\"PG305\",\"object\":\"Lab\",\"source\":\"lab.yaml:5\"}}]}";

/* clang-format off */
static void flows_show_both_tuples(void **state)
{
    expect(PG_GET_CONNTRACK, conntrack, NULL, false,
        "ID     PROTO   STATE         ORIGINAL                                REPLY                                   NAT         SERVICE        TIMEOUT   FLOW\n"
        "1041   tcp     ESTABLISHED   198.51.100.7:52100>203.0.113.10:80      10.244.1.2:80>10.244.1.1:5568           dnat,snat   edge/gateway   23h59m    c7f1\n"
        "1042   udp     UNREPLIED     [2001:db8::7]:40001>[2001:db8::53]:53   [2001:db8::53]:53>[2001:db8::7]:40001   <none>      <none>         12s       c7f2\n"
        "1043   icmp    REPLIED       198.51.100.7>192.0.2.11 id=77           192.0.2.11>198.51.100.7 id=77           <none>      <none>         29s       c7f1\n");
}

static void a_wide_flow_says_why(void **state)
{
    expect(PG_GET_CONNTRACK, conntrack, "1041", true,
        "ID     PROTO   STATE         ORIGINAL                             REPLY                           NAT         SERVICE        TIMEOUT   FLOW   NODE     PACKETS   BYTES       WHY\n"
        "1041   tcp     ESTABLISHED   198.51.100.7:52100>203.0.113.10:80   10.244.1.2:80>10.244.1.1:5568   dnat,snat   edge/gateway   23h59m    c7f1   node-1   5/4       1.1k/4.2k   svc/edge/gateway LoadBalancer  edge.yaml:9 PG112; svc/edge/gateway externalTrafficPolicy: Cluster (default)  edge.yaml:14 PG101\n");
}

static void connections_show_both_legs(void **state)
{
    expect(PG_GET_CONNECTIONS, connections, NULL, false,
        "FLOW   CLIENT LEG                           STATE   RTT     UPSTREAM LEG                      STATE   RTT   POD          REQS   RETX   BYTES IN/OUT   AGE\n"
        "c7f1   198.51.100.7:52100>203.0.113.10:80   ESTAB   0.1ms   10.244.1.2:40001>10.96.12.40:80   ESTAB   -     shop/web-0   3      3      1.1k/4.2k      8s\n"
        "c7f4   198.51.100.66:40110>10.244.1.2:80    ESTAB   0.2ms   <none>                            -       -     <none>       0      0      0/0            2s\n");
}

static void a_wide_connection_says_whom_the_pod_sees(void **state)
{
    expect(PG_GET_CONNECTIONS, connections, "c7f1", true,
        "FLOW   CLIENT LEG                           STATE   RTT     UPSTREAM LEG                      STATE   RTT   POD          REQS   RETX   BYTES IN/OUT   AGE   SERVICE    ENDPOINT          POD SEES           STATUS   DOING   TLS\n"
        "c7f1   198.51.100.7:52100>203.0.113.10:80   ESTAB   0.1ms   10.244.1.2:40001>10.96.12.40:80   ESTAB   -     shop/web-0   3      3      1.1k/4.2k      8s    shop/web   10.244.1.7:8080   10.244.1.2:40001   200      relay   TLSv1.3 AES h2\n");
}

static void translations_say_why(void **state)
{
    expect(PG_GET_NAT, nat, NULL, false,
        "HOOK      KIND   BEFORE           =>   AFTER             PORT MODE   WHY                                                               ACTIVE   HITS\n"
        "service   dnat   10.96.12.40:80   =>   10.244.1.7:8080   fixed       svc/shop/web ClusterIP endpoint 1/2 p=0.50                        1        455\n"
        "front     snat   any              =>   10.244.1.1        random      svc/edge/gateway externalTrafficPolicy: Cluster (default) PG101   2        914\n");
}

static void services_look_as_kubectl_shows_them(void **state)
{
    expect(PG_GET_SERVICES, services, NULL, false,
        "NAMESPACE   NAME      TYPE           CLUSTER-IP   EXTERNAL-IP               PORT(S)               ENDPOINTS\n"
        "edge        gateway   LoadBalancer   10.96.5.5    203.0.113.10,192.0.2.80   80:30080/TCP,53/UDP   1/2\n"
        "shop        web       ClusterIP      None         <none>                    <none>                0/0\n");
    expect(PG_GET_SERVICES, services, "edge/gateway", true,
        "NAMESPACE   NAME      TYPE           CLUSTER-IP   EXTERNAL-IP               PORT(S)               ENDPOINTS   POLICIES                                   SOURCE\n"
        "edge        gateway   LoadBalancer   10.96.5.5    203.0.113.10,192.0.2.80   80:30080/TCP,53/UDP   1/2         external=Local,internal=Cluster(default)   edge.yaml:1\n");
}

static void endpoints_have_a_row_each_when_wide(void **state)
{
    expect(PG_GET_ENDPOINTS, endpoints, NULL, false,
        "NAMESPACE   NAME    ENDPOINTS\n"
        "shop        web     10.244.1.7:8080,[2001:db8::9]:8080\n"
        "shop        empty   <none>\n");
    expect(PG_GET_ENDPOINTS, endpoints, NULL, true,
        "NAMESPACE   NAME   PORT   ENDPOINT             READY   SERVING   TERMINATING   NODE     POD          ACTIVE   HITS\n"
        "shop        web    http   10.244.1.7:8080      true    true      false         node-1   shop/web-0   1        455\n"
        "shop        web    80     [2001:db8::9]:8080   false   false     true          <none>   <none>       0        0\n");
}

static void nodes_and_counters(void **state)
{
    expect(PG_GET_NODES, nodes, NULL, true,
        "NAME     STATUS   ADDRESS                   POD-CIDR        GATEWAY      ZONE     PODS   SOURCE\n"
        "node-1   Ready    192.0.2.11,2001:db8::11   10.244.1.0/24   10.244.1.1   <none>   2      lab.yaml:4\n");
    expect(PG_GET_COUNTERS, counters, NULL, false,
        "KIND      NAME         VALUE\n"
        "counter   rx_packets   3\n"
        "counter   tx_packets   0\n"
        "drop      martian      2\n"
        "pool      flows        7\n");
}

static void names_say_where_their_records_come_from(void **state)
{
    expect(PG_GET_DNS, dns, NULL, false,
           "NAME                          TYPE   TTL    DATA          FROM    AGE\n"
           "Web.shop.svc.cluster.local.   A      30     10.96.12.40   zone    -\n"
           "no.example.org.               AAAA   1700   NXDOMAIN      cache   1m40s\n");
    expect(PG_GET_DNS, dns, NULL, true,
           "NAME                          TYPE   TTL    DATA          FROM    AGE     OBJECT             SOURCE\n"
           "Web.shop.svc.cluster.local.   A      30     10.96.12.40   zone    -       Service/shop/web   shop.yaml:3\n"
           "no.example.org.               AAAA   1700   NXDOMAIN      cache   1m40s   Lab                lab.yaml:5\n");
}
/* clang-format on */

static void names_select(void **state)
{
    static const struct {
        enum pg_get_type type;
        const char *answer;
        const char *name;
        size_t count;
    } rows[] = {
        {PG_GET_CONNTRACK, conntrack, "1042", 1},
        {PG_GET_CONNTRACK, conntrack, "c7f1", 2},
        {PG_GET_CONNTRACK, conntrack, "104", 0},
        {PG_GET_CONNECTIONS, connections, "1042", 1},
        {PG_GET_CONNECTIONS, connections, "c7f4", 1},
        {PG_GET_NAT, nat, "shop/web", 1},
        {PG_GET_NAT, nat, "Service/shop/web", 1},
        {PG_GET_NAT, nat, "web", 0},
        {PG_GET_SERVICES, services, "web", 1},
        {PG_GET_SERVICES, services, "shop/web", 1},
        {PG_GET_SERVICES, services, "edge/web", 0},
        {PG_GET_SERVICES, services, "sho/web", 0},
        {PG_GET_NODES, nodes, "node-1", 1},
        {PG_GET_COUNTERS, counters, "short", 1},
        {PG_GET_DNS, dns, "web.SHOP.svc.cluster.local", 1},
        {PG_GET_DNS, dns, "no.example.org.", 1},
        {PG_GET_DNS, dns, "example.org", 0},
        {PG_GET_DNS, dns, "shop/web", 1},
        {PG_GET_DNS, dns, ".", 0},
    };

    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        json_t *root = json_loads(rows[i].answer, 0, NULL);
        json_t *items = pg_get_select(rows[i].type, root, rows[i].name, NULL);

        assert_int_equal(json_array_size(items), rows[i].count);
        json_decref(items);
        json_decref(root);
    }
}

static void members_of_another_type_are_not_there(void **state)
{
    static const char strange[] =
        "{\"items\":[{}, 3, null, "
        "{\"id\":\"x\",\"original\":7,\"nat\":{},\"service\":[],\"timeoutSeconds\":-5,"
        "\"ports\":4,\"client\":[],\"endpoints\":\"y\",\"reason\":\"z\",\"flow\":\"a\\u001b[2Jb\"},"
        "{\"namespace\":\"\\u001b[2J\",\"name\":\"\\u001b[2J\",\"host\":\"\\u001b[2J\","
        "\"path\":\"\\u001b[2J\",\"object\":\"\\u001b[2J\",\"service\":\"\\u001b[2J\","
        "\"hosts\":[\"\\u001b[2J\"],\"tests\":[{\"kind\":\"header\",\"name\":\"\\u001b[2J\"}],"
        "\"filters\":[{\"field\":\"\\u001b[2J\",\"value\":\"\\u001b[2J\"}],"
        "\"backend\":\"\\u001b[2J\",\"refused\":\"\\u001b[2J\",\"value\":\"\\u001b[2J\"}]"
        "}";
    json_t *root = json_loads(strange, 0, NULL);

    for (unsigned type = 0; type < PG_GET_TYPE_COUNT; type++) {
        for (int wide = 0; wide < 2; wide++) {
            json_t *items = pg_get_select((enum pg_get_type)type, root, NULL, NULL);
            struct pg_text out = {0};

            pg_get_render((enum pg_get_type)type, items, wide, true, &out);
            assert_null(strchr(out.at, 0x1b));
            pg_text_clear(&out);
            pg_get_names((enum pg_get_type)type, items, &out);
            assert_null(out.at ? strchr(out.at, 0x1b) : NULL);
            pg_text_free(&out);
            json_decref(items);
        }
    }
    json_t *groups = pg_get_summary(json_object_get(root, "items"), "service");
    struct pg_text out = {0};

    pg_get_render_summary("service", groups, true, &out);
    assert_non_null(strstr(out.at, "\\x1b[2J"));
    assert_null(strchr(out.at, 0x1b));
    pg_text_free(&out);
    json_decref(groups);
    json_decref(root);
    pg_reason_forget_all();
}

static void types_have_short_names(void **state)
{
    assert_int_equal(pg_get_type_of("ct"), PG_GET_CONNTRACK);
    assert_int_equal(pg_get_type_of("conn"), PG_GET_CONNECTIONS);
    assert_int_equal(pg_get_type_of("svc"), PG_GET_SERVICES);
    assert_int_equal(pg_get_type_of("ep"), PG_GET_ENDPOINTS);
    assert_int_equal(pg_get_type_of("no"), PG_GET_NODES);
    assert_int_equal(pg_get_type_of("nat"), PG_GET_NAT);
    assert_int_equal(pg_get_type_of("n"), PG_GET_TYPE_COUNT);
    assert_int_equal(pg_get_type_of(""), PG_GET_TYPE_COUNT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flows_show_both_tuples),
        cmocka_unit_test(a_wide_flow_says_why),
        cmocka_unit_test(connections_show_both_legs),
        cmocka_unit_test(a_wide_connection_says_whom_the_pod_sees),
        cmocka_unit_test(translations_say_why),
        cmocka_unit_test(services_look_as_kubectl_shows_them),
        cmocka_unit_test(endpoints_have_a_row_each_when_wide),
        cmocka_unit_test(nodes_and_counters),
        cmocka_unit_test(names_say_where_their_records_come_from),
        cmocka_unit_test(names_select),
        cmocka_unit_test(members_of_another_type_are_not_there),
        cmocka_unit_test(types_have_short_names),
    };

    return cmocka_run_group_tests_name("get", tests, NULL, NULL);
}
