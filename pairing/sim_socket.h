/* SPDX-License-Identifier: GPL-3.0-or-later */
/*
 * The sockets of a simulated air's folder. They are addressed as /proc/self/fd/DIR/NAME.KIND, since
 * the path of a UNIX socket is limited to 107 bytes and that of the folder is not.
 */
#ifndef SIMHOP_PAIRING_SIM_SOCKET_H
#define SIMHOP_PAIRING_SIM_SOCKET_H

#include <sys/socket.h>
#include <sys/types.h>
#include <sys/un.h>

#include "proto/cause.h"

enum sh_sim_kind { SH_SIM_AIR, SH_SIM_L2CAP }; /* NAME.air, NAME.l2cap */

/* A socket that is bound in the folder; its file is removed only while it is still this one. */
struct sh_sim_bound {
    int fd;
    dev_t device;
    ino_t inode;
};

/* dir is the folder's descriptor, name a good one (air_parse.h). The length for bind and connect.
 * */
socklen_t sh_sim_address(int dir, const char *name, enum sh_sim_kind kind,
                         struct sockaddr_un *ret_address);

/* A socket of that kind, non-blocking and close-on-exec; -1 and errno. */
SH_MUST_USE int sh_sim_socket(enum sh_sim_kind kind);

/* Binds both sockets of a name and listens. What a dead process left is removed; the folder is
 * locked meanwhile, so that two processes of one name cannot both win. Fails with env.name-taken,
 * env.permission, env.radio-failed, store.*, env.no-memory. */
SH_MUST_USE enum sh_cause sh_sim_bind(int dir, const char *name, struct sh_sim_bound ret_bound[2]);

/* Closes both and removes their files. */
void sh_sim_unbind(int dir, const char *name, struct sh_sim_bound bound[2]);

#endif
