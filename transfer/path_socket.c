/* SPDX-License-Identifier: GPL-3.0-or-later */
/* Apart from path_look.c, whose headers of netlink bring the C library's shorter tcp_info. */
#include <time.h> /* linux/errqueue.h does not bring it */

#include <errno.h>
#include <linux/errqueue.h>
#include <linux/sockios.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <stddef.h>
#include <string.h>
#include <sys/ioctl.h>

#include "transfer/path_look.h"

void sh_path_record(int fd, bool on)
{
    int value = on;
    /* An IPv6 socket may be on its way to an IPv4 address; the one that does not fit is refused. */
    (void)setsockopt(fd, IPPROTO_IP, IP_RECVERR, &value, sizeof(value));
    (void)setsockopt(fd, IPPROTO_IPV6, IPV6_RECVERR, &value, sizeof(value));
}

static bool is_icmp(struct msghdr *message)
{
    for (struct cmsghdr *c = CMSG_FIRSTHDR(message); c; c = CMSG_NXTHDR(message, c)) {
        struct sock_extended_err error;
        bool ours = (c->cmsg_level == IPPROTO_IP && c->cmsg_type == IP_RECVERR) ||
                    (c->cmsg_level == IPPROTO_IPV6 && c->cmsg_type == IPV6_RECVERR);
        if (!ours || c->cmsg_len < CMSG_LEN(sizeof(error)))
            continue;
        memcpy(&error, CMSG_DATA(c), sizeof(error));
        if (error.ee_origin == SO_EE_ORIGIN_ICMP || error.ee_origin == SO_EE_ORIGIN_ICMP6)
            return true;
    }
    return false;
}

enum sh_path_answer sh_path_read_answer(int fd, int error)
{
    union {
        char bytes[512];
        struct cmsghdr align;
    } control;
    char part[64]; /* of what was answered to */
    struct iovec io = {.iov_base = part, .iov_len = sizeof(part)};
    struct msghdr message = {.msg_iov = &io,
                             .msg_iovlen = 1,
                             .msg_control = control.bytes,
                             .msg_controllen = sizeof(control.bytes)};
    if (fd >= 0 && recvmsg(fd, &message, MSG_ERRQUEUE | MSG_DONTWAIT) >= 0 && is_icmp(&message))
        return SH_PATH_ICMP;
    return error == ECONNREFUSED || error == ECONNRESET ? SH_PATH_RESET : SH_PATH_SILENCE;
}

unsigned sh_path_not_sent(int fd)
{
    struct tcp_info info;
    socklen_t n = sizeof(info);
    bool known = getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &n) == 0 &&
                 n >= offsetof(struct tcp_info, tcpi_min_rtt);
    return known ? info.tcpi_notsent_bytes : 0;
}

void sh_path_look_stream(int fd, struct sh_path_facts *facts)
{
    struct tcp_info info;
    socklen_t n = sizeof(info);
    int queued = 0;
    memset(&info, 0, sizeof(info));
    if (getsockopt(fd, IPPROTO_TCP, TCP_INFO, &info, &n) < 0 ||
        n < offsetof(struct tcp_info, tcpi_min_rtt) || ioctl(fd, SIOCOUTQ, &queued) < 0)
        return;
    unsigned all = queued > 0 ? (unsigned)queued : 0, not_sent = info.tcpi_notsent_bytes;
    facts->acked = info.tcpi_bytes_acked > 0 ? info.tcpi_bytes_acked - 1 : 0; /* the SYN counts */
    facts->unacked = all > not_sent ? all - not_sent : 0;
    facts->zero_window = info.tcpi_probes > 0 && not_sent > 0;
}
