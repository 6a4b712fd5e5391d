# lwIP 2.1.3 with our lwipopts.h, as a library that only pg_stack links. Only the files a TCP end point needs:
# IP input, ICMP, UDP, neighbour discovery and fragments are done by podglass itself or not at all.
if(NOT PODGLASS_LWIP_DIR)
    if(DEFINED ENV{PODGLASS_DEPS_DIR})
        set(PODGLASS_LWIP_DIR $ENV{PODGLASS_DEPS_DIR}/lwip-2.1.3)
    else()
        set(PODGLASS_LWIP_DIR ${CMAKE_SOURCE_DIR}/build/deps/lwip-2.1.3)
    endif()
endif()
if(NOT EXISTS ${PODGLASS_LWIP_DIR}/src/core/tcp_in.c)
    message(FATAL_ERROR "no lwIP source in ${PODGLASS_LWIP_DIR}: run scripts/deps first")
endif()

set(lwip_sources def inet_chksum init ip mem memp netif pbuf tcp tcp_in tcp_out timeouts
    ipv4/ip4 ipv4/ip4_addr ipv6/ip6 ipv6/ip6_addr)
list(TRANSFORM lwip_sources PREPEND ${PODGLASS_LWIP_DIR}/src/core/)
list(TRANSFORM lwip_sources APPEND .c)

add_library(lwip STATIC ${lwip_sources} ${CMAKE_SOURCE_DIR}/stack/lwip/absent.c)
# stack/lwip comes first: its lwipopts.h and arch/cc.h are the ones that count.
target_include_directories(lwip SYSTEM PUBLIC ${CMAKE_SOURCE_DIR}/stack/lwip ${PODGLASS_LWIP_DIR}/src/include)
target_compile_options(lwip PRIVATE -fno-strict-aliasing -Wall -Wno-address-of-packed-member
    -Wno-tautological-constant-out-of-range-compare # clang, on a minimum of a constant and 16 bits
    -ffile-prefix-map=${PODGLASS_LWIP_DIR}/src/=lwip/)
set_target_properties(lwip PROPERTIES C_CLANG_TIDY "")
