/* dns/records.c and dns/zone_build.c: what each name of a small cluster answers to each type. One
 * test per rule of cluster DNS; the rows are question, type and the whole response. */
#include "dns_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define HTTPS    65
#define MX       15
#define CAA      257
#define ANY      255
#define DOMAIN   "cluster.local."
#define SOA      "30 SOA ns.dns.cluster.local. hostmaster.cluster.local. 7200 1800 86400 30\n"
#define NODATA   "NOERROR aa\nauthority " DOMAIN " " SOA
#define NXDOMAIN "NXDOMAIN aa\nauthority " DOMAIN " " SOA

struct row {
    const char *name;
    uint16_t type;
    const char *response;
};

static struct dns_fixture shop;

static int load_shop(void **state)
{
    shop = dns_fixture_shop();
    return 0;
}

static int free_shop(void **state)
{
    dns_fixture_free(&shop);
    return 0;
}

static void check_rows(const struct row *rows, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct dns_question ask = {
            .name = rows[i].name, .type = rows[i].type, .over_tcp = true, .draw = i};
        struct pg_text got = dns_ask_full(shop.zone, ask, NULL, NULL);

        if (strcmp(got.at, rows[i].response) != 0) {
            char type[12];

            print_message("%s %s\n", rows[i].name, pg_dns_type_name(rows[i].type, type));
        }
        assert_string_equal(got.at, rows[i].response);
        pg_text_free(&got);
    }
}
#define CHECK_ROWS(rows) check_rows(rows, sizeof(rows) / sizeof((rows)[0]))

static void cluster_ip_answers_its_address_even_without_endpoints(void **state)
{
    static const struct row rows[] = {
        {"web.shop.svc.cluster.local", PG_DNS_A,
         "NOERROR aa\nanswer web.shop.svc.cluster.local. 30 A 10.96.12.40\n"},
        {"empty.shop.svc.cluster.local.", PG_DNS_A,
         "NOERROR aa\nanswer empty.shop.svc.cluster.local. 30 A 10.96.12.41\n"},
        {"dual.shop.svc.cluster.local", PG_DNS_A,
         "NOERROR aa\nanswer dual.shop.svc.cluster.local. 30 A 10.96.12.42\n"},
        {"dual.shop.svc.cluster.local", PG_DNS_AAAA,
         "NOERROR aa\nanswer dual.shop.svc.cluster.local. 30 AAAA fd96::42\n"},
        {"gateway.edge.svc.cluster.local", PG_DNS_A,
         "NOERROR aa\nanswer gateway.edge.svc.cluster.local. 30 A 10.96.5.5\n"},
    };
    CHECK_ROWS(rows);
}

static void missing_family_is_no_data_with_soa(void **state)
{
    static const struct row rows[] = {
        {"web.shop.svc.cluster.local", PG_DNS_AAAA, NODATA},
        {"db-1.db.shop.svc.cluster.local", PG_DNS_AAAA, NODATA},
        {"db-all.shop.svc.cluster.local", PG_DNS_AAAA, NODATA},
    };
    CHECK_ROWS(rows);
}

static void headless_answers_one_record_per_ready_endpoint_of_the_family(void **state)
{
    static const struct row rows[] = {
        {"db.shop.svc.cluster.local", PG_DNS_A,
         "NOERROR aa\n"
         "answer db.shop.svc.cluster.local. 30 A 10.244.1.20\n"
         "answer db.shop.svc.cluster.local. 30 A 10.244.1.44\n"
         "answer db.shop.svc.cluster.local. 30 A 10.244.2.20\n"},
        {"db.shop.svc.cluster.local", PG_DNS_AAAA,
         "NOERROR aa\n"
         "answer db.shop.svc.cluster.local. 30 AAAA fd60:0:0:1::\n"
         "answer db.shop.svc.cluster.local. 30 AAAA fd60::20\n"},
    };
    CHECK_ROWS(rows);
}

static void headless_without_ready_endpoint_does_not_exist(void **state)
{
    static const struct row rows[] = {
        {"asleep.shop.svc.cluster.local", PG_DNS_A, NXDOMAIN},
        {"asleep.shop.svc.cluster.local", PG_DNS_AAAA, NXDOMAIN},
        {"asleep.shop.svc.cluster.local", PG_DNS_SRV, NXDOMAIN},
        {"a-0.asleep.shop.svc.cluster.local", PG_DNS_A, NXDOMAIN},
        {"_sql._tcp.asleep.shop.svc.cluster.local", PG_DNS_SRV, NXDOMAIN},
    };
    CHECK_ROWS(rows);
}

static void endpoint_is_found_by_hostname_or_by_its_address_with_dashes(void **state)
{
    static const struct row rows[] = {
        {"db-0.db.shop.svc.cluster.local", PG_DNS_A,
         "NOERROR aa\nanswer db-0.db.shop.svc.cluster.local. 30 A 10.244.1.20\n"},
        {"db-0.db.shop.svc.cluster.local", PG_DNS_AAAA,
         "NOERROR aa\nanswer db-0.db.shop.svc.cluster.local. 30 AAAA fd60::20\n"},
        {"10-244-1-44.db.shop.svc.cluster.local", PG_DNS_A,
         "NOERROR aa\nanswer 10-244-1-44.db.shop.svc.cluster.local. 30 A 10.244.1.44\n"},
        {"fd60-0-0-1--0.db.shop.svc.cluster.local", PG_DNS_AAAA,
         "NOERROR aa\nanswer fd60-0-0-1--0.db.shop.svc.cluster.local. 30 AAAA fd60:0:0:1::\n"},
        /* a service with a cluster IP has them too */
        {"10-244-1-7.web.shop.svc.cluster.local", PG_DNS_A,
         "NOERROR aa\nanswer 10-244-1-7.web.shop.svc.cluster.local. 30 A 10.244.1.7\n"},
        /* who has a hostname is not found by its address; who is not ready is not found */
        {"10-244-1-20.db.shop.svc.cluster.local", PG_DNS_A, NXDOMAIN},
        {"db-3.db.shop.svc.cluster.local", PG_DNS_A, NXDOMAIN},
        {"db-3.db-all.shop.svc.cluster.local", PG_DNS_A,
         "NOERROR aa\nanswer db-3.db-all.shop.svc.cluster.local. 30 A 10.244.1.45\n"},
    };
    CHECK_ROWS(rows);
}

static void srv_of_cluster_ip_is_its_port_and_address(void **state)
{
    static const struct row rows[] = {
        {"_http._tcp.web.shop.svc.cluster.local", PG_DNS_SRV,
         "NOERROR aa\n"
         "answer _http._tcp.web.shop.svc.cluster.local. 30 SRV 0 100 80 "
         "web.shop.svc.cluster.local.\n"
         "more web.shop.svc.cluster.local. 30 A 10.96.12.40\n"},
        {"_dns._udp.kube-dns.kube-system.svc.cluster.local", PG_DNS_SRV,
         "NOERROR aa\n"
         "answer _dns._udp.kube-dns.kube-system.svc.cluster.local. 30 SRV 0 100 53 "
         "kube-dns.kube-system.svc.cluster.local.\n"
         "more kube-dns.kube-system.svc.cluster.local. 30 A 10.96.0.10\n"},
        /* two families halve the weight, and are one target */
        {"_http._tcp.dual.shop.svc.cluster.local", PG_DNS_SRV,
         "NOERROR aa\n"
         "answer _http._tcp.dual.shop.svc.cluster.local. 30 SRV 0 50 80 "
         "dual.shop.svc.cluster.local.\n"
         "more dual.shop.svc.cluster.local. 30 A 10.96.12.42\n"
         "more dual.shop.svc.cluster.local. 30 AAAA fd96::42\n"},
    };
    CHECK_ROWS(rows);
}

static void srv_of_headless_is_one_per_endpoint_name(void **state)
{
    static const struct row rows[] = {
        /* five ready addresses: weight 20; db-0 has two of them */
        {"_sql._tcp.db.shop.svc.cluster.local", PG_DNS_SRV,
         "NOERROR aa\n"
         "answer _sql._tcp.db.shop.svc.cluster.local. 30 SRV 0 20 3306 "
         "10-244-1-44.db.shop.svc.cluster.local.\n"
         "answer _sql._tcp.db.shop.svc.cluster.local. 30 SRV 0 20 3306 "
         "db-0.db.shop.svc.cluster.local.\n"
         "answer _sql._tcp.db.shop.svc.cluster.local. 30 SRV 0 20 3306 "
         "db-1.db.shop.svc.cluster.local.\n"
         "answer _sql._tcp.db.shop.svc.cluster.local. 30 SRV 0 20 3306 "
         "fd60-0-0-1--0.db.shop.svc.cluster.local.\n"
         "more 10-244-1-44.db.shop.svc.cluster.local. 30 A 10.244.1.44\n"
         "more db-0.db.shop.svc.cluster.local. 30 A 10.244.1.20\n"
         "more db-0.db.shop.svc.cluster.local. 30 AAAA fd60::20\n"
         "more db-1.db.shop.svc.cluster.local. 30 A 10.244.2.20\n"
         "more fd60-0-0-1--0.db.shop.svc.cluster.local. 30 AAAA fd60:0:0:1::\n"},
        {"_sql._tcp.db-all.shop.svc.cluster.local", PG_DNS_SRV,
         "NOERROR aa\n"
         "answer _sql._tcp.db-all.shop.svc.cluster.local. 30 SRV 0 50 3306 "
         "db-0.db-all.shop.svc.cluster.local.\n"
         "answer _sql._tcp.db-all.shop.svc.cluster.local. 30 SRV 0 50 3306 "
         "db-3.db-all.shop.svc.cluster.local.\n"
         "more db-0.db-all.shop.svc.cluster.local. 30 A 10.244.1.20\n"
         "more db-3.db-all.shop.svc.cluster.local. 30 A 10.244.1.45\n"},
    };
    CHECK_ROWS(rows);
}

static void srv_of_wrong_or_unnamed_port_or_protocol_does_not_exist(void **state)
{
    static const struct row rows[] = {
        {"_nope._tcp.web.shop.svc.cluster.local", PG_DNS_SRV, NXDOMAIN},
        {"_http._udp.web.shop.svc.cluster.local", PG_DNS_SRV, NXDOMAIN},
        {"_._tcp.empty.shop.svc.cluster.local", PG_DNS_SRV, NXDOMAIN},
        {"_80._tcp.empty.shop.svc.cluster.local", PG_DNS_SRV, NXDOMAIN},
        /* a named port that no ready endpoint of a headless service has */
        {"_metrics._tcp.db.shop.svc.cluster.local", PG_DNS_SRV, NXDOMAIN},
    };
    CHECK_ROWS(rows);
}

static void headless_without_ports_has_addresses_and_no_srv(void **state)
{
    static const struct row rows[] = {
        {"portless.shop.svc.cluster.local", PG_DNS_A,
         "NOERROR aa\nanswer portless.shop.svc.cluster.local. 30 A 10.244.1.60\n"},
        {"p-0.portless.shop.svc.cluster.local", PG_DNS_A,
         "NOERROR aa\nanswer p-0.portless.shop.svc.cluster.local. 30 A 10.244.1.60\n"},
        {"portless.shop.svc.cluster.local", PG_DNS_SRV, NODATA},
    };
    CHECK_ROWS(rows);
}

static void srv_without_port_is_all_ports(void **state)
{
    static const struct row rows[] = {
        {"web.shop.svc.cluster.local", PG_DNS_SRV,
         "NOERROR aa\n"
         "answer web.shop.svc.cluster.local. 30 SRV 0 50 80 web.shop.svc.cluster.local.\n"
         "answer web.shop.svc.cluster.local. 30 SRV 0 50 81 web.shop.svc.cluster.local.\n"
         "more web.shop.svc.cluster.local. 30 A 10.96.12.40\n"},
        {"empty.shop.svc.cluster.local", PG_DNS_SRV,
         "NOERROR aa\n"
         "answer empty.shop.svc.cluster.local. 30 SRV 0 100 80 empty.shop.svc.cluster.local.\n"
         "more empty.shop.svc.cluster.local. 30 A 10.96.12.41\n"},
        {"db-all.shop.svc.cluster.local", PG_DNS_SRV,
         "NOERROR aa\n"
         "answer db-all.shop.svc.cluster.local. 30 SRV 0 50 3306 "
         "db-0.db-all.shop.svc.cluster.local.\n"
         "answer db-all.shop.svc.cluster.local. 30 SRV 0 50 3306 "
         "db-3.db-all.shop.svc.cluster.local.\n"
         "more db-0.db-all.shop.svc.cluster.local. 30 A 10.244.1.20\n"
         "more db-3.db-all.shop.svc.cluster.local. 30 A 10.244.1.45\n"},
    };
    CHECK_ROWS(rows);
}

static void ptr_of_cluster_ip_is_one_name(void **state)
{
    static const struct row rows[] = {
        {"40.12.96.10.in-addr.arpa", PG_DNS_PTR,
         "NOERROR aa\nanswer 40.12.96.10.in-addr.arpa. 30 PTR web.shop.svc.cluster.local.\n"},
        {"2.4.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.6.9.D.F.ip6.arpa", PG_DNS_PTR,
         "NOERROR aa\nanswer "
         "2.4.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.6.9.D.F.ip6.arpa. 30 PTR "
         "dual.shop.svc.cluster.local.\n"},
    };
    CHECK_ROWS(rows);
}

static void ptr_of_ready_endpoint_is_one_name_per_service(void **state)
{
    static const struct row rows[] = {
        {"20.1.244.10.in-addr.arpa", PG_DNS_PTR,
         "NOERROR aa\n"
         "answer 20.1.244.10.in-addr.arpa. 30 PTR db-0.db-all.shop.svc.cluster.local.\n"
         "answer 20.1.244.10.in-addr.arpa. 30 PTR db-0.db.shop.svc.cluster.local.\n"},
        {"7.1.244.10.in-addr.arpa", PG_DNS_PTR,
         "NOERROR aa\n"
         "answer 7.1.244.10.in-addr.arpa. 30 PTR 10-244-1-7.web.shop.svc.cluster.local.\n"},
    };
    CHECK_ROWS(rows);
}

#define NXDOMAIN_AT(zone) "NXDOMAIN aa\nauthority " zone " " SOA
#define NODATA_AT(zone)   "NOERROR aa\nauthority " zone " " SOA

static void ptr_of_anything_else_does_not_exist(void **state)
{
    static const struct row rows[] = {
        {"50.1.244.10.in-addr.arpa", PG_DNS_PTR, NXDOMAIN_AT("in-addr.arpa.")}, /* not ready */
        {"4.4.8.8.in-addr.arpa", PG_DNS_PTR, NXDOMAIN_AT("in-addr.arpa.")},
        {"040.12.96.10.in-addr.arpa", PG_DNS_PTR, NXDOMAIN_AT("in-addr.arpa.")},
        {"256.12.96.10.in-addr.arpa", PG_DNS_PTR, NXDOMAIN_AT("in-addr.arpa.")},
        {"1.40.12.96.10.in-addr.arpa", PG_DNS_PTR, NXDOMAIN_AT("in-addr.arpa.")},
        {"web.in-addr.arpa", PG_DNS_PTR, NXDOMAIN_AT("in-addr.arpa.")},
        {"g.f.ip6.arpa", PG_DNS_PTR, NXDOMAIN_AT("ip6.arpa.")},
        /* between names */
        {"244.10.in-addr.arpa", PG_DNS_PTR, NODATA_AT("in-addr.arpa.")},
        {"d.f.ip6.arpa", PG_DNS_PTR, NODATA_AT("ip6.arpa.")},
        {"in-addr.arpa", PG_DNS_PTR, NODATA_AT("in-addr.arpa.")},
        /* another type */
        {"40.12.96.10.in-addr.arpa", PG_DNS_A, NODATA_AT("in-addr.arpa.")},
    };
    CHECK_ROWS(rows);
}

static void external_name_is_followed_inside_the_zone(void **state)
{
    static const struct row rows[] = {
        {"ext.shop.svc.cluster.local", PG_DNS_A,
         "NOERROR aa\n"
         "answer ext.shop.svc.cluster.local. 30 CNAME web.shop.svc.cluster.local.\n"
         "answer web.shop.svc.cluster.local. 30 A 10.96.12.40\n"},
        {"ext-ext.shop.svc.cluster.local", PG_DNS_A,
         "NOERROR aa\n"
         "answer ext-ext.shop.svc.cluster.local. 30 CNAME ext.shop.svc.cluster.local.\n"
         "answer ext.shop.svc.cluster.local. 30 CNAME web.shop.svc.cluster.local.\n"
         "answer web.shop.svc.cluster.local. 30 A 10.96.12.40\n"},
        {"ext-ext.shop.svc.cluster.local", PG_DNS_CNAME,
         "NOERROR aa\n"
         "answer ext-ext.shop.svc.cluster.local. 30 CNAME ext.shop.svc.cluster.local.\n"},
        {"ext.shop.svc.cluster.local", PG_DNS_AAAA,
         "NOERROR aa\n"
         "answer ext.shop.svc.cluster.local. 30 CNAME web.shop.svc.cluster.local.\n"
         "authority cluster.local. " SOA},
        /* there is nobody to ask what is outside */
        {"outside.shop.svc.cluster.local", PG_DNS_A,
         "NOERROR aa\n"
         "answer outside.shop.svc.cluster.local. 30 CNAME db.example.org.\n"},
        {"gone.shop.svc.cluster.local", PG_DNS_A,
         "NXDOMAIN aa\n"
         "answer gone.shop.svc.cluster.local. 30 CNAME nowhere.shop.svc.cluster.local.\n"
         "authority cluster.local. " SOA},
        /* a circle is said once */
        {"circle-a.shop.svc.cluster.local", PG_DNS_A,
         "NOERROR aa\n"
         "answer circle-a.shop.svc.cluster.local. 30 CNAME circle-b.shop.svc.cluster.local.\n"
         "answer circle-b.shop.svc.cluster.local. 30 CNAME circle-a.shop.svc.cluster.local.\n"
         "authority cluster.local. " SOA},
    };
    CHECK_ROWS(rows);
}

static void external_name_has_no_names_below_and_no_srv(void **state)
{
    static const struct row rows[] = {
        {"x.ext.shop.svc.cluster.local", PG_DNS_A, NXDOMAIN},
        {"_http._tcp.ext.shop.svc.cluster.local", PG_DNS_SRV, NXDOMAIN},
        {"ext.shop.svc.cluster.local", PG_DNS_SRV, NODATA},
        {"ext.shop.svc.cluster.local", HTTPS, NODATA},
    };
    CHECK_ROWS(rows);
}

static void version_is_told(void **state)
{
    static const struct row rows[] = {
        {"dns-version.cluster.local", PG_DNS_TXT,
         "NOERROR aa\nanswer dns-version.cluster.local. 28800 TXT \"1.1.0\"\n"},
        {"dns-version.cluster.local", PG_DNS_A, NODATA},
        {"web.shop.svc.cluster.local", PG_DNS_TXT, NODATA},
    };
    CHECK_ROWS(rows);
}

static void pod_record_is_the_address_in_its_name(void **state)
{
    static const struct row rows[] = {
        {"10-60-1-30.shop.pod.cluster.local", PG_DNS_A,
         "NOERROR aa\nanswer 10-60-1-30.shop.pod.cluster.local. 30 A 10.60.1.30\n"},
        {"10-60-1-30.shop.pod.cluster.local", PG_DNS_AAAA, NODATA},
        {"fd60-1--30.shop.pod.cluster.local", PG_DNS_AAAA,
         "NOERROR aa\nanswer fd60-1--30.shop.pod.cluster.local. 30 AAAA fd60:1::30\n"},
        {"FD60-1--0.shop.pod.cluster.local", PG_DNS_AAAA,
         "NOERROR aa\nanswer FD60-1--0.shop.pod.cluster.local. 30 AAAA fd60:1::\n"},
        {"10-60-1.shop.pod.cluster.local", PG_DNS_A, NXDOMAIN},
        {"10-60-1-300.shop.pod.cluster.local", PG_DNS_A, NXDOMAIN},
        {"web-0.shop.pod.cluster.local", PG_DNS_A, NXDOMAIN},
        {"x.10-60-1-30.shop.pod.cluster.local", PG_DNS_A, NXDOMAIN},
        {"10-60-1-30.nowhere.pod.cluster.local", PG_DNS_A, NXDOMAIN},
        {"shop.pod.cluster.local", PG_DNS_A, NODATA},
    };
    CHECK_ROWS(rows);
}

static void pod_records_can_be_disabled(void **state)
{
    struct dns_fixture f = dns_fixture_load(dns_fixture_services, "", "");
    struct dns_question ask = {.name = "10-60-1-30.shop.pod.cluster.local", .type = PG_DNS_A};
    struct pg_text got = dns_ask_full(f.zone, ask, NULL, NULL);

    assert_string_equal(got.at, NXDOMAIN);
    pg_text_free(&got);
    pg_zone_free(f.zone);
    pg_snapshot_put(f.snapshot);
}

static void what_lies_between_names_is_no_data(void **state)
{
    static const struct row rows[] = {
        {"cluster.local", PG_DNS_A, NODATA},
        {"svc.cluster.local", PG_DNS_A, NODATA},
        {"pod.cluster.local", PG_DNS_AAAA, NODATA},
        {"shop.svc.cluster.local", PG_DNS_A, NODATA},
        {"quiet.svc.cluster.local", PG_DNS_A, NODATA}, /* a namespace without services */
        {"_tcp.web.shop.svc.cluster.local", PG_DNS_SRV, NODATA},
        {"dns.cluster.local", PG_DNS_A, NODATA}, /* ns.dns.cluster.local is below it */
    };
    CHECK_ROWS(rows);
}

static void unknown_names_do_not_exist(void **state)
{
    static const struct row rows[] = {
        {"web.nowhere.svc.cluster.local", PG_DNS_A, NXDOMAIN},
        {"nowhere.shop.svc.cluster.local", PG_DNS_A, NXDOMAIN},
        {"a.b.c.web.shop.svc.cluster.local", PG_DNS_A, NXDOMAIN},
        {"foo.cluster.local", PG_DNS_A, NXDOMAIN},
        {"*.shop.svc.cluster.local", PG_DNS_A, NXDOMAIN},
        /* what a search list makes of an outside name */
        {"example.org.shop.svc.cluster.local", PG_DNS_A, NXDOMAIN},
        {"example.org.svc.cluster.local", PG_DNS_A, NXDOMAIN},
        {"example.org.cluster.local", PG_DNS_A, NXDOMAIN},
    };
    CHECK_ROWS(rows);
}

static void other_types_of_a_name_that_exists_are_no_data(void **state)
{
    static const struct row rows[] = {
        {"web.shop.svc.cluster.local", HTTPS, NODATA},
        {"web.shop.svc.cluster.local", MX, NODATA},
        {"web.shop.svc.cluster.local", CAA, NODATA},
        {"web.shop.svc.cluster.local", ANY, NODATA},
        {"web.shop.svc.cluster.local", PG_DNS_CNAME, NODATA},
        {"web.shop.svc.cluster.local", PG_DNS_NS, NODATA},
        {"web.shop.svc.cluster.local", PG_DNS_SOA, NODATA},
        {"db-0.db.shop.svc.cluster.local", PG_DNS_SRV, NODATA},
        {"_http._tcp.web.shop.svc.cluster.local", PG_DNS_A, NODATA},
    };
    CHECK_ROWS(rows);
}

static void the_apex_has_soa_and_ns(void **state)
{
    static const struct row rows[] = {
        {"cluster.local", PG_DNS_SOA, "NOERROR aa\nanswer cluster.local. " SOA},
        {"cluster.local", PG_DNS_NS,
         "NOERROR aa\n"
         "answer cluster.local. 30 NS kube-dns.kube-system.svc.cluster.local.\n"
         "more kube-dns.kube-system.svc.cluster.local. 30 A 10.96.0.10\n"},
        {"ns.dns.cluster.local", PG_DNS_A,
         "NOERROR aa\nanswer ns.dns.cluster.local. 30 A 10.96.0.10\n"},
        {"in-addr.arpa", PG_DNS_SOA, "NOERROR aa\nanswer in-addr.arpa. " SOA},
    };
    CHECK_ROWS(rows);
}

static void hosts_of_ingress_rules_lead_to_the_load_balancer(void **state)
{
    static const struct row rows[] = {
        {"shop.example.test", PG_DNS_A,
         "NOERROR aa\nanswer shop.example.test. 30 A 203.0.113.10\n"},
        {"shop.example.test", PG_DNS_AAAA, NODATA_AT("shop.example.test.")},
        {"x.apps.example.test", PG_DNS_A,
         "NOERROR aa\nanswer x.apps.example.test. 30 A 203.0.113.10\n"},
        /* a wildcard stands for one label, also where there are names below */
        {"er.apps.example.test", PG_DNS_A,
         "NOERROR aa\nanswer er.apps.example.test. 30 A 203.0.113.10\n"},
        {"deep.er.apps.example.test", PG_DNS_A,
         "NOERROR aa\nanswer deep.er.apps.example.test. 30 A 203.0.113.10\n"},
        {"y.x.apps.example.test", PG_DNS_A, "REFUSED\n"},
        {"apps.example.test", PG_DNS_A, "REFUSED\n"},
        {"www.shop.example.test", PG_DNS_A, "REFUSED\n"},
        {"example.test", PG_DNS_A, "REFUSED\n"},
        /* a host that is a name of the cluster stays the cluster's */
        {"web.shop.svc.cluster.local", PG_DNS_A,
         "NOERROR aa\nanswer web.shop.svc.cluster.local. 30 A 10.96.12.40\n"},
    };
    CHECK_ROWS(rows);
}

static void spelling_of_the_question_is_kept(void **state)
{
    static const struct row rows[] = {
        {"wEb.ShOp.SVC.cluster.LOCAL", PG_DNS_A,
         "NOERROR aa\nanswer wEb.ShOp.SVC.cluster.LOCAL. 30 A 10.96.12.40\n"},
        {"DB-0.db.sHop.svc.cluster.local", PG_DNS_A,
         "NOERROR aa\nanswer DB-0.db.sHop.svc.cluster.local. 30 A 10.244.1.20\n"},
        /* of the zone in negative answers too, and of what is compressed into it */
        {"nowhere.shop.svc.CLUSTER.local", PG_DNS_A,
         "NXDOMAIN aa\n"
         "authority CLUSTER.local. 30 SOA ns.dns.CLUSTER.local. hostmaster.CLUSTER.local. "
         "7200 1800 86400 30\n"},
        {"SHOP.Example.test", PG_DNS_A,
         "NOERROR aa\nanswer SHOP.Example.test. 30 A 203.0.113.10\n"},
    };
    CHECK_ROWS(rows);
}

static void headless_answers_come_in_every_order(void **state)
{
    uint32_t first[3] = {0};
    uint32_t second[3] = {0};
    uint8_t query[512];
    uint8_t out[512];
    struct dns_question ask = {.name = "db.shop.svc.cluster.local", .type = PG_DNS_A};
    uint32_t len = dns_query_build(&ask, query);
    uint32_t begin = len + 12; /* the first record's data */

    for (uint64_t draw = 0; draw < 6000; draw++) {
        assert_int_equal(pg_dns_answer(shop.zone, query, len, false, draw, out, sizeof(out), NULL),
                         len + 3 * 16);
        uint32_t a = out[begin + 3];
        uint32_t b = out[begin + 16 + 3];

        /* 10.244.1.20, 10.244.1.44, 10.244.2.20 */
        first[a == 44 ? 1 : out[begin + 2] == 1 ? 0 : 2]++;
        second[b == 44 ? 1 : out[begin + 18] == 1 ? 0 : 2]++;
    }
    for (int i = 0; i < 3; i++) {
        assert_in_range(first[i], 1850, 2150);
        assert_in_range(second[i], 1850, 2150);
    }
}

static void same_draw_gives_the_same_answer(void **state)
{
    uint8_t query[512];
    uint8_t a[512];
    uint8_t b[512];
    struct dns_question ask = {.name = "db.shop.svc.cluster.local", .type = PG_DNS_A};
    uint32_t len = dns_query_build(&ask, query);
    uint32_t n = pg_dns_answer(shop.zone, query, len, false, 42, a, sizeof(a), NULL);

    assert_int_equal(pg_dns_answer(shop.zone, query, len, false, 42, b, sizeof(b), NULL), n);
    assert_memory_equal(a, b, n);
}

/* 15 services, each an alias of the next, the last of web. */
static char *make_chain(void)
{
    struct pg_text text = {0};

    for (int i = 0; i < 15; i++) {
        pg_text_printf(
            &text,
            "---\napiVersion: v1\nkind: Service\nmetadata: {namespace: shop, name: c%d}\n"
            "spec: {type: ExternalName, externalName: ",
            i);
        if (i < 14) {
            pg_text_printf(&text, "c%d.shop.svc.cluster.local}\n", i + 1);
        } else {
            pg_text_puts(&text, "web.shop.svc.cluster.local}\n");
        }
    }
    return text.at;
}

static void alias_chain_ends_after_ten_steps(void **state)
{
    char *chain = make_chain();
    struct dns_fixture f = dns_fixture_load(dns_fixture_lab, dns_fixture_services, chain);
    struct pg_dns_answer about;
    struct dns_question ask = {
        .name = "c5.shop.svc.cluster.local", .type = PG_DNS_A, .over_tcp = true};
    struct pg_text got = dns_ask_full(f.zone, ask, &about, NULL);

    assert_int_equal(about.answers, 11); /* c5 to c14 and the address */
    assert_int_equal(about.status, PG_DNS_OK);
    pg_text_free(&got);
    ask.name = "c4.shop.svc.cluster.local";
    got = dns_ask_full(f.zone, ask, &about, NULL);
    assert_int_equal(about.answers, 10);
    assert_int_equal(about.status, PG_DNS_NODATA);
    assert_true(pg_addr_is_none(&about.first));
    pg_text_free(&got);
    free(chain);
    pg_zone_free(f.zone);
    pg_snapshot_put(f.snapshot);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(cluster_ip_answers_its_address_even_without_endpoints),
        cmocka_unit_test(missing_family_is_no_data_with_soa),
        cmocka_unit_test(headless_answers_one_record_per_ready_endpoint_of_the_family),
        cmocka_unit_test(headless_without_ready_endpoint_does_not_exist),
        cmocka_unit_test(endpoint_is_found_by_hostname_or_by_its_address_with_dashes),
        cmocka_unit_test(srv_of_cluster_ip_is_its_port_and_address),
        cmocka_unit_test(srv_of_headless_is_one_per_endpoint_name),
        cmocka_unit_test(srv_of_wrong_or_unnamed_port_or_protocol_does_not_exist),
        cmocka_unit_test(headless_without_ports_has_addresses_and_no_srv),
        cmocka_unit_test(srv_without_port_is_all_ports),
        cmocka_unit_test(ptr_of_cluster_ip_is_one_name),
        cmocka_unit_test(ptr_of_ready_endpoint_is_one_name_per_service),
        cmocka_unit_test(ptr_of_anything_else_does_not_exist),
        cmocka_unit_test(external_name_is_followed_inside_the_zone),
        cmocka_unit_test(external_name_has_no_names_below_and_no_srv),
        cmocka_unit_test(version_is_told),
        cmocka_unit_test(pod_record_is_the_address_in_its_name),
        cmocka_unit_test(pod_records_can_be_disabled),
        cmocka_unit_test(what_lies_between_names_is_no_data),
        cmocka_unit_test(unknown_names_do_not_exist),
        cmocka_unit_test(other_types_of_a_name_that_exists_are_no_data),
        cmocka_unit_test(the_apex_has_soa_and_ns),
        cmocka_unit_test(hosts_of_ingress_rules_lead_to_the_load_balancer),
        cmocka_unit_test(spelling_of_the_question_is_kept),
        cmocka_unit_test(headless_answers_come_in_every_order),
        cmocka_unit_test(same_draw_gives_the_same_answer),
        cmocka_unit_test(alias_chain_ends_after_ten_steps),
    };
    return cmocka_run_group_tests(tests, load_shop, free_shop);
}
