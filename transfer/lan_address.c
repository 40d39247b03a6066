/* SPDX-License-Identifier: GPL-3.0-or-later */
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <string.h>

#include "transfer/tcp.h"

static bool usable_ipv4(const uint8_t *a)
{
    return a[0] != 0 && a[0] != 127 && a[0] < 224 && !(a[0] == 169 && a[1] == 254);
}

/* Global and unique local ones; a link-local one means nothing without the reader's interface. */
static bool usable_ipv6(const struct in6_addr *a)
{
    return !IN6_IS_ADDR_UNSPECIFIED(a) && !IN6_IS_ADDR_LOOPBACK(a) && !IN6_IS_ADDR_LINKLOCAL(a) &&
           !IN6_IS_ADDR_MULTICAST(a) && !IN6_IS_ADDR_V4MAPPED(a) && !IN6_IS_ADDR_SITELOCAL(a);
}

bool sh_lan_is_usable(const uint8_t *bytes, size_t len)
{
    struct in6_addr in6;
    if (len == 4)
        return usable_ipv4(bytes);
    if (len != sizeof(in6))
        return false;
    memcpy(&in6, bytes, sizeof(in6));
    return usable_ipv6(&in6);
}

bool sh_lan_is_loopback(const uint8_t *bytes, size_t len)
{
    static const struct in6_addr loopback = IN6ADDR_LOOPBACK_INIT;
    return len == 4 ? bytes[0] == 127
                    : len == sizeof(loopback) && memcmp(bytes, &loopback, len) == 0;
}

/* false: not one of the kind that is looked for. */
static bool read_address(const struct sockaddr *from, bool loopback, struct sh_tcp_address *out)
{
    if (from->sa_family == AF_INET) {
        struct sockaddr_in in;
        memcpy(&in, from, sizeof(in));
        out->len = 4;
        memcpy(out->bytes, &in.sin_addr, out->len);
        return loopback || usable_ipv4(out->bytes);
    }
    if (from->sa_family == AF_INET6) {
        struct sockaddr_in6 in6;
        memcpy(&in6, from, sizeof(in6));
        out->len = 16;
        memcpy(out->bytes, &in6.sin6_addr, out->len);
        return loopback ? IN6_IS_ADDR_LOOPBACK(&in6.sin6_addr) : usable_ipv6(&in6.sin6_addr);
    }
    return false;
}

static bool is_listed(const struct sh_tcp_address *list, size_t count,
                      const struct sh_tcp_address *address)
{
    for (size_t i = 0; i < count; i++) {
        if (list[i].len == address->len && memcmp(list[i].bytes, address->bytes, address->len) == 0)
            return true;
    }
    return false;
}

static size_t collect(const struct ifaddrs *list, const char *iface, bool ipv4_only, bool loopback,
                      struct sh_tcp_address *out)
{
    size_t count = 0;
    for (const struct ifaddrs *at = list; at && count < SH_LAN_ADDRESSES; at = at->ifa_next) {
        struct sh_tcp_address address = {.len = 0};
        bool is_loopback = (at->ifa_flags & IFF_LOOPBACK) != 0;
        if (!at->ifa_addr || !(at->ifa_flags & IFF_UP) || is_loopback != loopback)
            continue;
        if ((iface && strcmp(at->ifa_name, iface) != 0) ||
            (!loopback && !(at->ifa_flags & IFF_RUNNING)))
            continue;
        if (!read_address(at->ifa_addr, loopback, &address) || (ipv4_only && address.len != 4))
            continue;
        if (!is_listed(out, count, &address))
            out[count++] = address;
    }
    return count;
}

size_t sh_lan_addresses(const char *iface, bool ipv4_only,
                        struct sh_tcp_address out[SH_LAN_ADDRESSES], bool *ret_loopback)
{
    struct ifaddrs *list = NULL;
    *ret_loopback = false;
    if (getifaddrs(&list) < 0)
        return 0;
    size_t count = collect(list, iface, ipv4_only, false, out);
    if (count == 0 && (!iface || strcmp(iface, "lo") == 0)) {
        count = collect(list, iface, ipv4_only, true, out);
        *ret_loopback = count > 0;
    }
    freeifaddrs(list);
    return count;
}
