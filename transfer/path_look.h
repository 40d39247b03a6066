/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * In path_socket.c and path_look.c. Looks at a way over TCP for sh_path_judge: the socket's error queue (IP_RECVERR, ip(7)), its TCP_INFO (tcp(7)), and by rtnetlink(7)
 * where the kernel would send what is for that address, and whether the neighbour there answers. Nothing is sent to anybody; each
 * call asks the kernel only and comes back at once.
 */
#ifndef SIMHOP_TRANSFER_PATH_LOOK_H
#define SIMHOP_TRANSFER_PATH_LOOK_H

#include "transfer/path.h"
#include "transfer/tcp.h"

/* ICMP errors are queued with their origin from now on, or no more: on while it connects only, since on an established connection they
 * would end it. */
void sh_path_record(int fd, bool on);

/* What came in answer to the SYN of a connect that failed with this error. fd may be -1. */
enum sh_path_answer sh_path_read_answer(int fd, int error);

/* The route to an address and the neighbour on it. bound: the index of the interface that the socket is bound to, 0: none. What
 * cannot be learnt stays unknown. */
void sh_path_look_way(const struct sh_tcp_address *to, uint32_t bound, struct sh_path_facts *facts);

/* Octets of a connection that the kernel has and did not send; 0 where it does not say. */
unsigned sh_path_not_sent(int fd);

/* What a connection that was made has moved; it may be over by now. */
void sh_path_look_stream(int fd, struct sh_path_facts *facts);

#endif
