'use strict';
require('./launch.js')(['action', 'main']);
