'use strict';
require('./launch.js')(['revoke']);
