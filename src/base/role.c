#include "base/role.h"

struct role worker_role, control_role;
